//! What one reactor keeps for itself while it carries messages: caches, scratch space, and a list of whom to write to.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crosstie_core::{Mono, Randomness};

use super::{Core, index::Matched, lock, outbox::Spares, peer::Peer, subscription::Subscription};

/// One reactor's own part of the broker. Nothing in it is shared, so nothing in it is locked.
pub struct Worker {
    matches: HashMap<Box<[u8]>, Arc<Matched>, foldhash::fast::RandomState>,
    /// The subject looked up last: a stream of messages mostly has one.
    last: Option<(Box<[u8]>, Arc<Matched>)>,
    generation: u64,
    pub(super) random: Box<dyn Randomness>,
    pub(super) spares: Spares,
    /// Clients that have something to be written.
    pub(super) touched: Vec<Arc<Peer>>,
    /// Bytes appended since the last flush.
    pub(super) unflushed: usize,
    /// Subscriptions that had their last message.
    pub(super) finished: Vec<Arc<Subscription>>,
    /// The frame being delivered: up to the subscription's id, and what follows it.
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
    pub(super) tally: Tally,
}

/// Counts since the last report to the whole broker.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) in_msgs: u64,
    pub(super) in_bytes: u64,
    pub(super) out_msgs: u64,
    pub(super) out_bytes: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
}

/// Counts of the whole broker. Each is a total of its own, so relaxed order is enough.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) in_msgs: AtomicU64,
    pub(super) in_bytes: AtomicU64,
    pub(super) out_msgs: AtomicU64,
    pub(super) out_bytes: AtomicU64,
    pub(super) cache_hits: AtomicU64,
    pub(super) cache_misses: AtomicU64,
    pub(super) cache_entries: AtomicU64,
    pub(super) total_connections: AtomicU64,
    pub(super) slow_consumers: AtomicU64,
    pub(super) slow_consumer_msgs: AtomicU64,
    pub(super) stale_connections: AtomicU64,
    pub(super) auth_errors: AtomicU64,
    pub(super) refused_connections: AtomicU64,
    pub(super) permission_violations: AtomicU64,
    pub(super) pending_bytes: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    if by > 0 {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

impl Worker {
    /// How many subjects are remembered; beyond it all are forgotten.
    const MAX_MATCHES: usize = 4096;

    /// A worker that chooses queue-group members by `random`.
    pub fn new(random: Box<dyn Randomness>) -> Self {
        Self {
            matches: HashMap::default(),
            last: None,
            generation: 0,
            random,
            spares: Spares::default(),
            touched: Vec::new(),
            unflushed: 0,
            finished: Vec::new(),
            head: Vec::with_capacity(256),
            tail: Vec::with_capacity(4096),
            tally: Tally::default(),
        }
    }

    /// Who wants `subject`.
    pub(super) fn lookup(&mut self, core: &Core, subject: &[u8]) -> Arc<Matched> {
        // Acquire pairs with the Release in `Core::touch_index`: whoever sees the new generation sees the new index. A subscription made
        // on another connection a moment ago may be missed, as on any wire; one made on this connection cannot be.
        let generation = core.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.matches.clear();
            self.last = None;
            self.generation = generation;
        }
        if let Some((_, matched)) = self.last.as_ref().filter(|(last, _)| **last == *subject) {
            self.tally.hits += 1;
            return Arc::clone(matched);
        }
        let matched = match self.matches.get(subject) {
            Some(matched) => {
                self.tally.hits += 1;
                Arc::clone(matched)
            }
            None => {
                self.tally.misses += 1;
                if self.matches.len() >= Self::MAX_MATCHES {
                    self.matches.clear();
                }
                let matched = Arc::new(
                    core.index
                        .read()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .matches(subject),
                );
                self.matches.insert(subject.into(), Arc::clone(&matched));
                matched
            }
        };
        self.last = Some((subject.into(), Arc::clone(&matched)));
        matched
    }

    /// Forgets every look-up, and with them the connections they keep alive.
    pub(super) fn forget_if_changed(&mut self, core: &Core) {
        if core.generation.load(Ordering::Acquire) != self.generation {
            self.matches.clear();
            self.last = None;
        }
    }

    /// Notes that something waits for `peer`.
    pub(super) fn touch(&mut self, peer: &Arc<Peer>) {
        self.touched.push(Arc::clone(peer));
    }

    /// Writes to everybody who has something waiting, and says which of them are slow to take it.
    pub(super) fn flush(&mut self, core: &Core, now: Mono) -> bool {
        let mut crowded = false;
        self.unflushed = 0;
        let mut touched = std::mem::take(&mut self.touched);
        for peer in touched.drain(..) {
            peer.flush(&mut self.spares, false, now, &core.counters.pending_bytes);
            crowded |= core.is_crowded(&peer, now);
        }
        self.touched = touched;
        core.relieve();
        crowded
    }

    /// Adds the counts since the last time to the whole broker's.
    pub(super) fn report(&mut self, counters: &Counters) {
        let tally = std::mem::take(&mut self.tally);
        count(&counters.in_msgs, tally.in_msgs);
        count(&counters.in_bytes, tally.in_bytes);
        count(&counters.out_msgs, tally.out_msgs);
        count(&counters.out_bytes, tally.out_bytes);
        count(&counters.cache_hits, tally.hits);
        count(&counters.cache_misses, tally.misses);
        counters
            .cache_entries
            .store(self.matches.len() as u64, Ordering::Relaxed);
    }

    /// Ends the subscriptions that had their last message.
    pub(super) fn retire(&mut self, core: &Core) {
        for subscription in std::mem::take(&mut self.finished) {
            lock(&subscription.peer.subscriptions).remove(&subscription.sid);
            core.unsubscribe(&subscription);
        }
    }
}
