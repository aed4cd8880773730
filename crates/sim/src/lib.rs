//! Whole-system simulation: the broker's core and clients' sessions over a faulty network, in one thread, in virtual time, from one seed.
//!
//! ```
//! let report = crosstie_sim::Scenario::default().run(7);
//! assert!(report.violations.is_empty());
//! ```

#![forbid(unsafe_code)]

mod agenda;
mod fact;
mod fault;
mod frames;
mod guest;
mod host;
mod judge;
mod letter;
mod log;
mod pipe;
mod plan;
mod report;
mod sabotage;
mod scenario;
mod subject;
mod user;
mod verdict;
mod wire;
mod wires;
mod world;

pub use crate::{
    agenda::Agenda,
    fault::Faults,
    log::Log,
    pipe::{Lost, Pipe, Weather},
    report::Report,
    sabotage::Sabotage,
    scenario::Scenario,
    verdict::{Rule, Violation},
};
