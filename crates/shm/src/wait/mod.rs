//! Waiting for the other process: look, then sleep, and never forget that it may die.

mod event;
mod fence;
mod spin;
mod waiter;

pub use spin::WaitPolicy;

pub(crate) use event::{EventCount, Notified};
pub(crate) use fence::Fence;
pub(crate) use waiter::{CHECK_EVERY, Peer, WaitEnd, Waiter};
