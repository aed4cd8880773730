//! Who waits for what: one row per participant, one entry per waiting thread.

use super::WAITS_LISTED;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// One wait: taken by compare-and-exchange of `lock`.
#[repr(C)]
#[derive(Debug)]
pub struct WaiterEntry {
    /// The index of the lock, plus 1; 0 if the entry is free.
    pub lock: AtomicU32,
    /// The thread, a number of the process's own.
    pub thread: AtomicU32,
    /// Since when, on the calendar, in nanoseconds.
    pub since: AtomicU64,
}

/// One row of the waiter table, 128 bytes.
#[repr(C)]
#[derive(Debug)]
pub struct WaiterRow {
    /// The waits. A thread beyond the last entry waits unlisted.
    pub entries: [WaiterEntry; WAITS_LISTED],
}

impl WaiterRow {
    /// Frees every entry, as is due when the participant is gone.
    pub(crate) fn clear(&self) {
        for entry in &self.entries {
            entry.lock.store(0, Ordering::Release);
        }
    }
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<WaiterRow>() == 128);
