//! Faults on purpose: connections and datagrams that misbehave, the same way each time.
//!
//! | file | what it does |
//! | --- | --- |
//! | `faults` | what programs say: [`Faults`] |
//! | `permit` | who may: nobody, unless it is allowed |
//! | `log` | what was done: [`FaultLog`] |
//! | `bytes`, `frames` | one direction of a stream, whose frames are blocks of bytes, or are told by a [`Splitter`]; pure |
//! | `stream`, `task` | a whole connection, for threads and for tokio |
//! | `open`, `apply` | listeners and connectors |
//! | `paused` | processes that stand still: [`Paused`] |
//!
//! What is decided for which frame is pure and stands in [`crosstie_core::fault`].

mod apply;
mod bytes;
mod direction;
mod faults;
mod frames;
mod line;
mod log;
mod offered;
mod open;
mod paused;
mod permit;
mod queue;
mod stream;
mod task;

pub use self::{
    faults::Faults,
    frames::{Split, Splitter},
    log::FaultLog,
    paused::Paused,
};
pub(crate) use self::{
    faults::Scope,
    line::FaultLine,
    open::{connector, listener},
    permit::permitted,
    stream::FaultyStream,
};
