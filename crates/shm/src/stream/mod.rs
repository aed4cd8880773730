//! Two-way streams of bytes in shared memory, and letters over them.
//!
//! ```text
//!   memory   StreamMemory: two rings in sealed memory        letters   whole letters over the same bytes
//!   flow     the protocol of one direction, without the bytes: positions, ends, and who waits
//! ```

mod flow;
#[cfg(not(loom))]
mod letters;
#[cfg(not(loom))]
mod memory;
#[cfg(all(test, loom))]
mod models;

#[cfg(not(loom))]
pub use self::{
    flow::Wakes,
    memory::{StreamMemory, StreamSide},
};
