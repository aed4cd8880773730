//! How this process sleeps for a lock, and says so in the segment.

use std::{
    cell::{Cell, OnceCell},
    time::Duration,
};

use crosstie_core::Deadline;

use super::{
    handle::LockHandle,
    protocol::{Peers, note_since},
    threads,
    watch::{self, Watching},
};
use crate::{
    clock,
    events::Act,
    sync::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// The first sleep. Nearly all waits are shorter, and need to know nothing about the holder.
const SHORT: Duration = Duration::from_millis(1);

/// The peers of one waiting thread.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    handle: &'a LockHandle,
    entry: Cell<Option<usize>>,
    watching: OnceCell<Watching>,
}

impl<'a> Waiting<'a> {
    pub(super) const fn new(handle: &'a LockHandle) -> Self {
        Self { handle, entry: Cell::new(None), watching: OnceCell::new() }
    }

    /// True if it waited so long that it was listed.
    pub(super) fn was_listed(&self) -> bool {
        self.watching.get().is_some()
    }
}

impl Peers for Waiting<'_> {
    fn reap(&self, slot: u32) -> bool {
        // What goes wrong with reaping is seen by who reaps; for a waiter it means that it goes on waiting, until its deadline.
        matches!(self.handle.participant.reap(slot), Ok(Some(_)))
    }

    fn membership(&self) -> &AtomicU32 {
        self.handle.segment().membership()
    }

    fn watch(&self) -> Deadline {
        self.watching.get_or_init(|| watch::begin(&self.handle.participant)).look()
    }

    fn list(&self) {
        let handle = self.handle;
        note_since(handle.cell(), || clock::wall().unix_nanos());
        handle.participant.record(Act::Waited, handle.object(), [u64::from(handle.index), 0]);
        handle.participant.slot().waits_for.store(handle.index + 1, Relaxed);
        let Some(row) = handle.segment().waits(handle.me.slot()) else { return };
        let free = |entry: &crate::layout::WaiterEntry| {
            // Acquire pairs with the Release in `unlist`: what it says of the last wait is not mixed with ours.
            entry.lock.compare_exchange(0, handle.index + 1, Acquire, Relaxed).is_ok()
        };
        if let Some(at) = row.entries.iter().position(free) {
            let entry = &row.entries[at];
            #[expect(clippy::cast_possible_truncation, reason = "for people, who tell two threads apart by it")]
            entry.thread.store(threads::number() as u32, Relaxed);
            entry.since.store(clock::wall().unix_nanos(), Relaxed);
            self.entry.set(Some(at));
        }
    }

    fn unlist(&self) {
        let handle = self.handle;
        handle.participant.slot().waits_for.store(0, Relaxed);
        if let Some(at) = self.entry.take()
            && let Some(row) = handle.segment().waits(handle.me.slot())
        {
            row.entries[at].lock.store(0, Release);
        }
    }

    fn short_wait(&self) -> Option<Deadline> {
        Some(clock::deadline_after(SHORT))
    }

    fn spins(&self) -> u32 {
        self.handle.spins
    }

    fn is_past(&self, deadline: Deadline) -> bool {
        // A segment that nobody may use any more is no reason to wait; the caller finds out which of the two it was.
        self.handle.participant.check().is_err() || (deadline != Deadline::NEVER && deadline.expired(clock::now()))
    }
}
