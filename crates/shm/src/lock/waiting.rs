//! How this process sleeps for a lock, and says so in the segment.

use std::{
    cell::{Cell, OnceCell},
    time::Duration,
};

use crosstie_core::Deadline;

use super::{
    protocol::{Bells, Peers, note_since},
    threads,
    watch::{self, Watching},
};
use crate::{
    clock,
    events::Act,
    layout::LockCell,
    notifier::ring_everyone,
    participant::Participant,
    sync::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    wait::bit_of,
};

/// The first sleep. Nearly all waits are shorter, and need to know nothing about the holder.
const SHORT: Duration = Duration::from_millis(1);

/// How long a dead one may be in the way of those who wait for moments only. A look asks the kernel once for each process that holds a permit or reads.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The peers of one waiting thread.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    participant: &'a Participant,
    cell: &'a LockCell,
    index: u32,
    spins: u32,
    looked: &'a AtomicU64,
    entry: Cell<Option<usize>>,
    watching: OnceCell<Watching>,
}

impl<'a> Waiting<'a> {
    /// `looked` is when a thread of this process looked last whether those are alive who are in the way.
    pub(super) const fn new(
        participant: &'a Participant,
        cell: &'a LockCell,
        index: u32,
        spins: u32,
        looked: &'a AtomicU64,
    ) -> Self {
        Self { participant, cell, index, spins, looked, entry: Cell::new(None), watching: OnceCell::new() }
    }

    /// True if it waited so long that it was listed.
    pub(super) fn was_listed(&self) -> bool {
        self.watching.get().is_some()
    }
}

impl Bells for Waiting<'_> {
    fn ring_all(&self) {
        ring_everyone(self.participant.segment(), bit_of(self.index));
    }
}

impl Peers for Waiting<'_> {
    fn reap(&self, slot: u32) -> bool {
        // What goes wrong with reaping is seen by who reaps; for a waiter it means that it goes on waiting, until its deadline.
        matches!(self.participant.reap(slot), Ok(Some(_)))
    }

    fn membership(&self) -> &AtomicU32 {
        self.participant.segment().membership()
    }

    fn watch(&self) -> Deadline {
        self.watching.get_or_init(|| watch::begin(self.participant)).look()
    }

    fn list(&self) {
        note_since(self.cell, || clock::wall().unix_nanos());
        self.participant.record(Act::Waited, object(self.index), [u64::from(self.index), 0]);
        self.participant.slot().waits_for.store(self.index + 1, Relaxed);
        let Some(row) = self.participant.segment().waits(self.participant.id().slot) else { return };
        let free = |entry: &crate::layout::WaiterEntry| {
            // Acquire pairs with the Release in `unlist`: what it says of the last wait is not mixed with ours.
            entry.lock.compare_exchange(0, self.index + 1, Acquire, Relaxed).is_ok()
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
        self.participant.slot().waits_for.store(0, Relaxed);
        if let Some(at) = self.entry.take()
            && let Some(row) = self.participant.segment().waits(self.participant.id().slot)
        {
            row.entries[at].lock.store(0, Release);
        }
    }

    fn short_wait(&self) -> Option<Deadline> {
        Some(clock::deadline_after(SHORT))
    }

    fn spins(&self) -> u32 {
        self.spins
    }

    fn is_time_to_look(&self) -> bool {
        is_time_to_look(self.looked)
    }

    fn is_past(&self, deadline: Deadline) -> bool {
        // A segment that nobody may use any more is no reason to wait; the caller finds out which of the two it was.
        self.participant.check().is_err() || (deadline != Deadline::NEVER && deadline.expired(clock::now()))
    }
}

/// True if nobody has looked for a while, says `looked`, whether those are alive who have something; now somebody does.
pub(super) fn is_time_to_look(looked: &AtomicU64) -> bool {
    let (now, last) = (clock::now().as_nanos(), looked.load(Relaxed));
    let is_time = last == 0 || Duration::from_nanos(now.saturating_sub(last)) >= LOOK_EVERY;
    if is_time {
        looked.store(now, Relaxed);
    }
    is_time
}

/// A lock as the records of acts name it.
pub(super) fn object(index: u32) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}
