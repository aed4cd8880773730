//! The operating system: the only Crosstie crate that may call it with unsafe code.
//!
//! What is here so far needs none: rustix gives safe calls for it.
#![forbid(unsafe_code)]

mod limits;
pub mod membarrier;
mod poller;
pub mod processors;

pub use crate::{
    limits::raise_descriptor_limit,
    poller::{Event, Interest, Poller, Waker},
};
