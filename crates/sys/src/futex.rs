//! Sleeping until a word in shared memory changes: futexes that work between processes.
//!
//! Deadlines are absolute, in nanoseconds of `CLOCK_MONOTONIC` as [`monotonic_ns`] reads it, so that a wait which was interrupted goes
//! on without growing. No call here returns an error: what the kernel can refuse about a mapped, aligned word is either
//! an answer (it changed, time is up, a signal came) or a bug of ours.

use std::{ffi::c_void, num::NonZeroU32, sync::atomic::AtomicU32};

use rustix::{
    io::Errno,
    thread::futex::{self, Flags, WaitFlags, WaitPtr, WaitvFlags},
    time::{ClockId, Timespec, clock_gettime},
};

/// Words that [`wait_any`] takes at most: the kernel's limit.
pub const WAIT_ANY_MAX: usize = 128;

/// How a wait ended. The caller looks at its condition again whichever it was: wakes may come for no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Somebody woke us, or a signal did.
    Woken,
    /// The word held another value already.
    Changed,
    /// The deadline has passed.
    TimedOut,
}

/// Nanoseconds on the machine's monotonic clock, the same for all processes.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Sleeps while `word` holds `expected`, until `deadline_ns` at the latest.
///
/// The kernel compares and goes to sleep in one step: a [`wake`] after a change of the word is never missed.
///
/// # Panics
///
/// If the kernel knows no futexes, which Linux always does.
pub fn wait(word: &AtomicU32, expected: u32, deadline_ns: Option<u64>) -> Waited {
    let deadline = deadline_ns.map(timespec);
    answer(futex::wait_bitset(word, Flags::empty(), expected, deadline.as_ref(), NonZeroU32::MAX))
}

/// Wakes at most `count` of those who sleep on `word`, in any process, and returns how many.
pub fn wake(word: &AtomicU32, count: u32) -> usize {
    // The kernel reads the count as a signed number.
    let count = count.min(i32::MAX.unsigned_abs());
    futex::wake(word, Flags::empty(), count).unwrap_or(0)
}

/// Sleeps while every word holds what is expected of it, until `deadline_ns` at the latest.
///
/// # Panics
///
/// If there are no words, or more than [`WAIT_ANY_MAX`].
pub fn wait_any(words: &[(&AtomicU32, u32)], deadline_ns: Option<u64>) -> Waited {
    assert!(
        (1..=WAIT_ANY_MAX).contains(&words.len()),
        "expected 1 to {WAIT_ANY_MAX} words to wait for, got {}",
        words.len()
    );
    let mut waits = [futex::Wait::new(); WAIT_ANY_MAX];
    for (wait, (word, expected)) in waits.iter_mut().zip(words) {
        wait.val = u64::from(*expected);
        wait.uaddr = WaitPtr::new(word.as_ptr().cast::<c_void>());
        wait.flags = WaitFlags::SIZE_U32;
    }
    let deadline = deadline_ns.map(timespec);
    // The borrows in `words` keep every address valid for the length of the call.
    let waited = futex::waitv(&waits[..words.len()], WaitvFlags::empty(), deadline.as_ref(), ClockId::Monotonic);
    answer(waited.map(|_| ()))
}

fn answer(waited: rustix::io::Result<()>) -> Waited {
    match waited {
        Ok(()) | Err(Errno::INTR) => Waited::Woken,
        Err(Errno::AGAIN) => Waited::Changed,
        Err(Errno::TIMEDOUT) => Waited::TimedOut,
        Err(error) => panic!("a futex in mapped memory can be waited for: {error}"),
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(ns % 1_000_000_000).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering, thread};

    use super::*;

    #[test]
    fn a_word_that_changed_before_is_not_waited_for() {
        let word = AtomicU32::new(1);
        assert_eq!(wait(&word, 0, None), Waited::Changed);
        assert_eq!(wait_any(&[(&AtomicU32::new(5), 5), (&word, 0)], None), Waited::Changed);
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let word = AtomicU32::new(1);
        let deadline = monotonic_ns() + 1_000_000;
        assert_eq!(wait(&word, 1, Some(deadline)), Waited::TimedOut);
        assert!(monotonic_ns() >= deadline);
        assert_eq!(wait_any(&[(&word, 1)], Some(deadline)), Waited::TimedOut);
    }

    #[test]
    fn one_of_several_words_wakes() {
        let (first, second) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while second.load(Ordering::SeqCst) == 0 {
                    wait_any(&[(&first, 0), (&second, 0)], None);
                }
            });
            second.store(1, Ordering::SeqCst);
            wake(&second, u32::MAX);
        });
    }
}
