//! Waiting for the other process: look, then sleep, and never forget that it may die.

mod bell;
mod event;
mod fence;
#[cfg(all(test, loom))]
mod models;
mod spin;
mod waiter;

pub use spin::WaitPolicy;

pub(crate) use bell::{Bell, Heard, Listener, bit_of};
pub(crate) use event::{EventCount, Notified};
pub(crate) use fence::Fence;
pub(crate) use waiter::{CHECK_EVERY, Peer, WaitEnd, Waiter};
