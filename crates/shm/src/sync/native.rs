//! The machine's own atomics and the kernel's futexes.

use crosstie_core::Deadline;
use crosstie_sys::futex;

use super::Wake;

pub use core::hint::spin_loop;
pub use core::sync::atomic::{AtomicU32, AtomicU64, fence};
pub use std::thread::yield_now;

/// Sleeps while `word` is `expected`, until woken or until `deadline`, an instant of [`crate::now`].
///
/// # Blocking
///
/// Always, unless the word has changed or the deadline has passed.
pub fn futex_wait(word: &AtomicU32, expected: u32, deadline: Deadline) -> Wake {
    match futex::wait(word, expected, deadline.instant().map(|instant| instant.as_nanos())) {
        futex::Wait::Woken | futex::Wait::Interrupted => Wake::Woken,
        futex::Wait::Changed => Wake::Changed,
        futex::Wait::TimedOut => Wake::TimedOut,
    }
}

/// Wakes at most `count` of those who sleep on `word`, in whatever process; returns how many that were.
pub fn futex_wake(word: &AtomicU32, count: u32) -> usize {
    futex::wake(word, count)
}
