//! Numbers for threads, and the locks that a thread leaves behind when it ends.
//!
//! A guard is not `Send`, so it goes with its thread, unless somebody forgets it. A lock that was left like this is recovered when the thread
//! ends, as if its process had died. Readers and permits are counted for the process and stay until it ends.

use std::{
    cell::Cell,
    sync::{
        Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

/// Something that a thread may leave behind.
pub(super) trait LeftBehind: Send + Sync {
    /// Puts in order what thread `thread` of this process has left, if it has.
    fn abandon(&self, thread: u64);
}

/// Locks of this process, for threads that end. What is gone is swept out when the list has doubled.
static LOCKS: Mutex<Vec<Weak<dyn LeftBehind>>> = Mutex::new(Vec::new());

struct ThisThread {
    number: u64,
}

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    static THIS: ThisThread = ThisThread::new();
}

impl ThisThread {
    fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self { number: LAST.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for ThisThread {
    fn drop(&mut self) {
        NUMBER.set(0);
        let locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for lock in locks.iter().filter_map(Weak::upgrade) {
            lock.abandon(self.number);
        }
    }
}

/// The number of the calling thread, from 1; never given twice in a process. 0 while the thread ends.
#[inline]
pub(super) fn number() -> u64 {
    match NUMBER.get() {
        0 => number_slowly(),
        number => number,
    }
}

#[cold]
fn number_slowly() -> u64 {
    let number = THIS.try_with(|this| this.number).unwrap_or(0);
    NUMBER.set(number);
    number
}

/// Puts a lock on the list of those that threads may leave behind.
pub(super) fn remember(lock: Weak<dyn LeftBehind>) {
    let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    if locks.len() == locks.capacity() {
        locks.retain(|lock| lock.strong_count() > 0);
    }
    locks.push(lock);
}
