//! The broker: a pure core and the drivers that carry its bytes.
#![forbid(unsafe_code)]

pub mod core;
mod options;
mod snapshot;

pub use crate::{
    options::{Auth, Limits, Options, Permissions, Responses, Rule, Rules, Secret, User},
    snapshot::{CacheSnapshot, ConnectionSnapshot, Snapshot, SubscriptionSnapshot},
};
