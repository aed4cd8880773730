//! The only door to atomics and futexes in this crate: the real ones, or loom's under `--cfg loom`, or shuttle's under `--cfg loom --cfg shuttle`.
//!
//! An algorithm that takes `&AtomicU32` and friends from here runs on shared memory and, unchanged, in a model that tries every
//! interleaving. loom's atomics are larger than words, so what casts memory to atomics is not compiled under loom.

#[cfg(loom)]
pub(crate) mod life;
#[cfg(all(loom, test))]
pub(crate) use modelled::wake_all as modelled_wake_all;
#[cfg(loom)]
mod modelled;
#[cfg(not(loom))]
mod native;

#[cfg(loom)]
pub use modelled::{AtomicU32, AtomicU64, fence, futex_wait, futex_wait_two, futex_wake, spin_loop, yield_now};
#[cfg(not(loom))]
pub use native::{AtomicU32, AtomicU64, fence, futex_wait, futex_wait_two, futex_wake, spin_loop, yield_now};

pub use core::sync::atomic::Ordering;

/// How a wait on a word ended. No ending promises anything about the word: look at it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Somebody woke it, a signal came, or there was no reason at all.
    Woken,
    /// The word did not have the expected value, so there was no sleep.
    Changed,
    /// The deadline passed.
    TimedOut,
}
