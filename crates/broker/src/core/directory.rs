//! The index that all reactors read, and the number that says when it has changed.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use super::{
    index::{Index, Matched},
    peer::Subscription,
};

/// Who wants what, shared by all reactors.
pub(super) struct Directory {
    index: RwLock<Index>,
    /// Goes up with every change of the index.
    generation: AtomicU64,
    inserts: AtomicU64,
    removes: AtomicU64,
}

impl Directory {
    pub(super) fn new() -> Self {
        Self {
            index: RwLock::default(),
            generation: AtomicU64::new(1),
            inserts: AtomicU64::new(0),
            removes: AtomicU64::new(0),
        }
    }

    /// Changes with every subscription that begins or ends.
    pub(super) fn generation(&self) -> u64 {
        // Acquire pairs with the Release in `touch`: whoever sees the new generation sees the new index. A subscription made on another
        // connection a moment ago may be missed, as on any wire; one made on this connection cannot be.
        self.generation.load(Ordering::Acquire)
    }

    fn touch(&self) {
        // Release pairs with the Acquire in `generation`.
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(super) fn insert(&self, subscription: &Arc<Subscription>) {
        self.index.write().unwrap_or_else(PoisonError::into_inner).insert(subscription);
        self.inserts.fetch_add(1, Ordering::Relaxed);
        self.touch();
    }

    /// Ends a subscription. Ending it twice does nothing.
    pub(super) fn remove(&self, subscription: &Arc<Subscription>) {
        if subscription.end() && self.index.write().unwrap_or_else(PoisonError::into_inner).remove(subscription) {
            self.removes.fetch_add(1, Ordering::Relaxed);
            self.touch();
        }
    }

    /// Who wants `subject`; nobody if one of its tokens is empty.
    pub(super) fn matches(&self, subject: &[u8]) -> Matched {
        if subject.split(|b| *b == b'.').any(<[u8]>::is_empty) {
            return Matched::default();
        }
        self.index.read().unwrap_or_else(PoisonError::into_inner).matches(subject)
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
        self.index.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}
