//! The index that all reactors read, and what is remembered of its changes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{
    changes::Changes,
    index::Index,
    matched::Matched,
    peer::Subscription,
    remembered::{Charge, Remembered, Room},
};

/// Who wants what, shared by all reactors.
pub(super) struct Directory {
    index: Index,
    /// What tells whether a look-up made earlier still holds.
    pub(super) changes: Changes,
    inserts: AtomicU64,
    removes: AtomicU64,
    /// What the subscriptions take up.
    pub(super) remembered: Remembered,
}

/// What a subscription takes up besides its texts: itself, its places in two tables, and what the allocator adds.
const SUBSCRIPTION: usize = 448;
/// What a level of the index takes up: itself, and its place in a table that has just been doubled.
const LEVEL: usize = 256;
/// What a subject hidden from its client takes up.
const HIDDEN: usize = 64;

impl Directory {
    pub(super) fn new() -> Self {
        Self {
            index: Index::new(),
            changes: Changes::new(),
            inserts: AtomicU64::new(0),
            removes: AtomicU64::new(0),
            remembered: Remembered::default(),
        }
    }

    /// Whether there is room for `subscription` where all of them may take up `limit` bytes.
    pub(super) fn room(&self, subscription: &Subscription, limit: usize) -> Room {
        let more = Charge { own: share(subscription), sum: texts(subscription) + in_levels(depth(subscription)) };
        self.remembered.room(&subscription.peer.remembered, more, limit as u64)
    }

    /// Begins a subscription, and says how much of an effort that was.
    pub(super) fn insert(&self, subscription: &Arc<Subscription>) -> u64 {
        let levels = self.index.insert(subscription);
        let charge = Charge { own: share(subscription), sum: texts(subscription) + in_levels(levels) };
        self.remembered.add(&subscription.peer.remembered, charge);
        self.inserts.fetch_add(1, Ordering::Relaxed);
        self.changes.note(&subscription.subject);
        effort(subscription)
    }

    /// Ends a subscription, and says how much of an effort that was. Ending it twice does nothing.
    pub(super) fn remove(&self, subscription: &Arc<Subscription>) -> u64 {
        subscription.end();
        if let Some(levels) = self.index.remove(subscription) {
            let charge = Charge { own: share(subscription), sum: texts(subscription) + in_levels(levels) };
            self.remembered.remove(&subscription.peer.remembered, charge);
            self.removes.fetch_add(1, Ordering::Relaxed);
            self.changes.note(&subscription.subject);
        }
        effort(subscription)
    }

    /// Who wants `subject`; nobody if one of its tokens is empty.
    pub(super) fn matches(&self, subject: &[u8]) -> Matched {
        if subject.split(|b| *b == b'.').any(<[u8]>::is_empty) {
            return Matched::default();
        }
        self.index.matches(subject)
    }

    /// Subscriptions made since the start.
    pub(super) fn inserts(&self) -> u64 {
        self.inserts.load(Ordering::Relaxed)
    }

    /// Subscriptions ended since the start.
    pub(super) fn removes(&self) -> u64 {
        self.removes.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}

/// What `subscription` takes up outside the levels of the index.
fn texts(subscription: &Subscription) -> u64 {
    let queue = subscription.queue.as_ref().map_or(0, |queue| queue.len());
    let bytes = 2 * subscription.subject.len() + 2 * subscription.sid.len() + queue;
    (SUBSCRIPTION + bytes + subscription.hidden_at_first * HIDDEN) as u64
}

fn effort(subscription: &Subscription) -> u64 {
    20 + 20 * depth(subscription) as u64
}

fn in_levels(levels: usize) -> u64 {
    (levels * LEVEL) as u64
}

fn depth(subscription: &Subscription) -> usize {
    subscription.subject.split(|b| *b == b'.').count()
}

/// What its client is charged with. Most levels are shared with others, and who made them does not matter: a quarter is a fair guess.
fn share(subscription: &Subscription) -> u64 {
    texts(subscription) + in_levels(depth(subscription)) / 4
}
