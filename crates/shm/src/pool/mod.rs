//! Loaned buffers that come back even from the dead.
//!
//! ```text
//!   buffers   Pool, what is loaned from it and given to others
//!   shape     where its parts lie, and what is put in order when a participant is gone
//!   cells     the algorithm, over plain memory
//!   known     which of them values of this process stand for
//! ```

#[cfg(not(loom))]
mod buffers;
mod cells;
mod known;
#[cfg(all(test, loom))]
mod models;
#[cfg(not(loom))]
mod shape;

#[cfg(not(loom))]
pub(crate) use self::shape::recover;
#[cfg(not(loom))]
pub use self::{
    buffers::{Pool, PoolLoan, PoolSample, PoolWaiter, Token},
    shape::SizeClass,
};
