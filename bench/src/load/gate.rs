//! The bound on messages under way: publishers stop at the window, subscribers wake them when half of it has drained.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, Thread};
use std::time::Duration;

const OPEN: u64 = u64::MAX;
const CHECK_EVERY: Duration = Duration::from_millis(10);

/// Counters shared by the two sides of one run.
pub(crate) struct Gate {
    window: u64,
    received: Vec<AtomicU64>,
    wake_at: AtomicU64,
    publisher: OnceLock<Thread>,
    stop: AtomicBool,
    failed: AtomicBool,
}

impl Gate {
    pub(crate) fn new(subscribers: usize, window: u64) -> Self {
        Self {
            window,
            received: (0..subscribers).map(|_| AtomicU64::new(0)).collect(),
            wake_at: AtomicU64::new(OPEN),
            publisher: OnceLock::new(),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// Messages delivered to all subscribers together.
    pub(crate) fn deliveries(&self) -> u64 {
        self.received.iter().map(|count| count.load(SeqCst)).sum()
    }

    /// Messages that every subscriber has.
    pub(crate) fn slowest(&self) -> u64 {
        self.received.iter().map(|count| count.load(SeqCst)).min().unwrap_or(0)
    }

    /// Tells that `subscriber` has `count` messages, and wakes the publisher if that is what it waits for.
    pub(crate) fn progress(&self, subscriber: usize, count: u64) {
        self.received[subscriber].store(count, SeqCst);
        if self.slowest() >= self.wake_at.load(SeqCst) {
            self.open();
        }
    }

    /// Whether `more` messages may leave when `sent` have left.
    pub(crate) fn admits(&self, sent: u64, more: u64) -> bool {
        sent + more <= self.slowest() + self.window.max(more)
    }

    /// Blocks the publisher's thread until half the window is free, the run stops, or 10 ms have passed; call
    /// [`Self::admits`] again after it.
    pub(crate) fn wait(&self, sent: u64) {
        self.publisher.get_or_init(thread::current);
        let wanted = sent.saturating_sub(self.window / 2);
        self.wake_at.store(wanted, SeqCst);
        if self.slowest() < wanted && !self.stopped() {
            thread::park_timeout(CHECK_EVERY);
        }
        self.wake_at.store(OPEN, SeqCst);
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, SeqCst);
        self.open();
    }

    /// Ends the run on both sides after an error.
    pub(crate) fn fail(&self) {
        self.failed.store(true, SeqCst);
        self.stop();
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed.load(SeqCst)
    }

    fn open(&self) {
        self.wake_at.store(OPEN, SeqCst);
        if let Some(publisher) = self.publisher.get() {
            publisher.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_subscriber_holds_the_window() {
        let gate = Gate::new(2, 10);
        assert!(gate.admits(0, 10));
        gate.progress(0, 10);
        assert!(!gate.admits(10, 1), "the second subscriber has nothing yet");
        gate.progress(1, 5);
        assert!(gate.admits(10, 5));
        assert!(!gate.admits(10, 6));
    }
}
