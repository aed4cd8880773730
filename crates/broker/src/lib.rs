//! The broker: a pure core and the drivers that carry its bytes.
//!
//! [`Broker::start`] runs it on threads of this process. [`core`] is the same broker without threads, sockets and clocks, for a
//! simulation to drive.
#![forbid(unsafe_code)]

mod broker;
pub mod core;
mod options;
mod reactor;
mod snapshot;

pub use crate::{
    broker::Broker,
    core::{NATS_VERSION, Reloaded},
    options::{Auth, Limits, Options, Permissions, Responses, Rule, Rules, Secret, User},
    snapshot::{CacheSnapshot, ConnectionSnapshot, Snapshot, SubscriptionSnapshot},
};
