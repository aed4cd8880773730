//! What is counted, for one reactor and for the whole broker.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the last report to the whole broker.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) in_msgs: u64,
    pub(super) in_bytes: u64,
    pub(super) out_msgs: u64,
    pub(super) out_bytes: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
    /// Receivers of the subjects that were missed, and the most of one.
    pub(super) fanout: u64,
    pub(super) max_fanout: u64,
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
    pub(super) fanout: AtomicU64,
    pub(super) max_fanout: AtomicU64,
    pub(super) total_connections: AtomicU64,
    pub(super) slow_consumers: AtomicU64,
    pub(super) slow_consumer_msgs: AtomicU64,
    pub(super) stale_connections: AtomicU64,
    pub(super) auth_errors: AtomicU64,
    pub(super) refused_connections: AtomicU64,
    pub(super) permission_violations: AtomicU64,
    pub(super) pending_bytes: AtomicU64,
    pub(super) held_input: AtomicU64,
    pub(super) held_input_evictions: AtomicU64,
    pub(super) subscription_evictions: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    if by > 0 {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

impl Tally {
    /// Adds these counts to the whole broker's.
    pub(super) fn report(&self, counters: &Counters) {
        count(&counters.in_msgs, self.in_msgs);
        count(&counters.in_bytes, self.in_bytes);
        count(&counters.out_msgs, self.out_msgs);
        count(&counters.out_bytes, self.out_bytes);
        count(&counters.cache_hits, self.hits);
        count(&counters.cache_misses, self.misses);
        count(&counters.fanout, self.fanout);
        if self.max_fanout > 0 {
            counters.max_fanout.fetch_max(self.max_fanout, Ordering::Relaxed);
        }
    }
}
