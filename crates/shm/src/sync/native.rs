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

/// Sleeps while both words have their expected values, until one is woken or until `deadline`.
///
/// # Blocking
///
/// Always, unless a word has changed or the deadline has passed.
pub fn futex_wait_two(one: (&AtomicU32, u32), two: (&AtomicU32, u32), deadline: Deadline) -> Wake {
    let instant = deadline.instant().map(|instant| instant.as_nanos());
    match futex::wait_any(&[one, two], instant) {
        Ok(futex::Wait::Woken | futex::Wait::Interrupted) => Wake::Woken,
        Ok(futex::Wait::Changed) => Wake::Changed,
        Ok(futex::Wait::TimedOut) => Wake::TimedOut,
        // A sandbox may forbid the call that kernels have since 5.16. Then the second word is looked at now and then.
        Err(_) => {
            let tick = crosstie_sys::monotonic_nanos() + 4_000_000;
            futex_wait(one.0, one.1, deadline.earlier(Deadline::at(crosstie_core::Mono::from_nanos(tick))))
        }
    }
}
