//! One value, one writer, many readers, and nobody waits for anybody.
//!
//! ```text
//!   value   Latest<T>, its writer, its readers
//!   shape   where its parts lie, and what is put in order when a participant is gone
//!   cells   the algorithm, over plain memory
//!   outside the newest value, for people
//! ```

mod cells;
#[cfg(all(test, loom))]
mod models;
#[cfg(not(loom))]
mod outside;
#[cfg(not(loom))]
mod shape;
#[cfg(not(loom))]
mod value;

#[cfg(not(loom))]
pub use self::value::{Latest, Reader, Snapshot, Writer};
#[cfg(not(loom))]
pub(crate) use self::{
    outside::latest_value,
    shape::{readers, recover, stride},
};
