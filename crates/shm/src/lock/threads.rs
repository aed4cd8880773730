//! Numbers for threads, and the locks that a thread leaves behind when it ends.
//!
//! A guard is not `Send`, so it goes with its thread, unless somebody forgets it. A lock that was left like this is recovered when the thread
//! ends, as if its process had died. Readers and permits are counted for the process and stay until it ends.

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard, TryLockError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::clock;

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
        // Destructors of other values may still take locks. They do it under this number, and what they leave behind stays until the process ends.
        let locks = in_time().map(|locks| locks.clone()).unwrap_or_default();
        for lock in locks.iter().filter_map(Weak::upgrade) {
            lock.abandon(self.number);
        }
    }
}

/// The number of the calling thread, from 1; never given twice in a process.
#[inline]
pub(super) fn number() -> u64 {
    match NUMBER.get() {
        0 => number_slowly(),
        number => number,
    }
}

#[cold]
fn number_slowly() -> u64 {
    // `THIS` is there: once it is gone, there is a number.
    let number = THIS.with(|this| this.number);
    NUMBER.set(number);
    number
}

/// How long to try for the list, which another thread of this process has for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// The list. `None` in a child that was forked while another thread of its parent had it, for which it is never given back: there a lock that a
/// thread leaves behind stays until the process ends.
fn in_time() -> Option<MutexGuard<'static, Vec<Weak<dyn LeftBehind>>>> {
    let deadline = clock::deadline_after(PATIENCE);
    loop {
        match LOCKS.try_lock() {
            Ok(locks) => return Some(locks),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if deadline.expired(clock::now()) => return None,
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
}

/// Puts a lock on the list of those that threads may leave behind.
pub(super) fn remember(lock: Weak<dyn LeftBehind>) {
    let Some(mut locks) = in_time() else { return };
    if locks.len() == locks.capacity() {
        locks.retain(|lock| lock.strong_count() > 0);
    }
    locks.push(lock);
}
