//! Sleeping on a word of memory that processes share.
//!
//! All waits are on shared futexes: the word may be mapped at different addresses. Deadlines are instants on the monotonic clock, as
//! [`crate::monotonic_nanos`] tells it, so that a wait that is begun again does not grow.

use std::{io, num::NonZeroU32, sync::atomic::AtomicU32};

use rustix::{
    io::Errno,
    thread::futex::{self, Flags, Timespec, WaitFlags, WaitPtr, WaitvFlags},
    time::ClockId,
};

/// The most words that one call of [`wait_any`] takes; the kernel's limit.
pub const MAX_WORDS: usize = 128;

/// How a wait ended. None of the four promises anything about the word: look at it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Somebody woke it, or the kernel did for no reason.
    Woken,
    /// The word did not have the expected value: it did not sleep at all.
    Changed,
    /// The deadline passed.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

/// Sleeps while `word` is `expected`, until woken or until the monotonic clock shows `deadline` (nanoseconds; `None` is no limit).
///
/// # Panics
///
/// If the kernel refuses an aligned word in mapped memory, which it never does.
pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<u64>) -> Wait {
    let deadline = deadline.map(timespec);
    outcome(futex::wait_bitset(word, Flags::empty(), expected, deadline.as_ref(), NonZeroU32::MAX))
}

/// Wakes at most `count` of those who sleep on `word`; returns how many that were.
pub fn wake(word: &AtomicU32, count: u32) -> usize {
    // The kernel takes a signed number.
    let count = count.min(i32::MAX.unsigned_abs());
    futex::wake(word, Flags::empty(), count).expect("an aligned word in mapped memory can be woken")
}

/// Sleeps while every word has its expected value. At most [`MAX_WORDS`] words.
///
/// # Errors
///
/// `InvalidInput` for none or too many words, `Unsupported` before Linux 5.16.
pub fn wait_any(words: &[(&AtomicU32, u32)], deadline: Option<u64>) -> io::Result<Wait> {
    if words.is_empty() || words.len() > MAX_WORDS {
        let what = format!("expected 1 to {MAX_WORDS} words to wait for, came {}", words.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut waits = [futex::Wait::new(); MAX_WORDS];
    for (wait, (word, expected)) in waits.iter_mut().zip(words) {
        wait.val = u64::from(*expected);
        wait.uaddr = WaitPtr::new(word.as_ptr().cast());
        wait.flags = WaitFlags::SIZE_U32;
    }
    let deadline = deadline.map(timespec);
    match futex::waitv(&waits[..words.len()], WaitvFlags::empty(), deadline.as_ref(), ClockId::Monotonic) {
        Err(Errno::NOSYS) => Err(Errno::NOSYS.into()),
        result => Ok(outcome(result.map(|_| ()))),
    }
}

fn outcome(result: rustix::io::Result<()>) -> Wait {
    match result {
        Ok(()) => Wait::Woken,
        Err(Errno::AGAIN) => Wait::Changed,
        Err(Errno::TIMEDOUT) => Wait::TimedOut,
        Err(Errno::INTR) => Wait::Interrupted,
        Err(error) => panic!("the kernel refused to wait on an aligned word in mapped memory: {error}"),
    }
}

fn timespec(nanos: u64) -> Timespec {
    const SECOND: u64 = 1_000_000_000;
    Timespec {
        tv_sec: i64::try_from(nanos / SECOND).expect("584 years in seconds"),
        tv_nsec: i64::try_from(nanos % SECOND).expect("less than a second"),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering, thread, time::Duration};

    use super::*;
    use crate::monotonic_nanos;

    #[test]
    fn a_word_that_differs_does_not_sleep() {
        let word = AtomicU32::new(1);
        assert_eq!(wait(&word, 0, None), Wait::Changed);
        assert_eq!(wait_any(&[(&word, 0)], None).unwrap(), Wait::Changed);
    }

    #[test]
    fn a_deadline_in_the_past_ends_the_wait() {
        let word = AtomicU32::new(0);
        assert_eq!(wait(&word, 0, Some(1)), Wait::TimedOut);
        assert_eq!(wait_any(&[(&word, 0)], Some(1)).unwrap(), Wait::TimedOut);
    }

    #[test]
    fn a_wake_ends_the_sleep_on_any_of_the_words() {
        let words = [AtomicU32::new(0), AtomicU32::new(0)];
        let limit = monotonic_nanos() + u64::try_from(Duration::from_secs(60).as_nanos()).unwrap();
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                while words[1].load(Ordering::Acquire) == 0 {
                    assert_ne!(wait_any(&[(&words[0], 0), (&words[1], 0)], Some(limit)).unwrap(), Wait::TimedOut);
                }
            });
            words[1].store(1, Ordering::Release);
            wake(&words[1], u32::MAX);
            sleeper.join().unwrap();
        });
    }

    #[test]
    fn no_words_and_too_many_are_refused() {
        let word = AtomicU32::new(0);
        for words in [vec![], vec![(&word, 0); MAX_WORDS + 1]] {
            assert_eq!(wait_any(&words, None).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
