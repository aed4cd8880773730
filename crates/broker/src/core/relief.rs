//! Who makes room when all clients together have too much.
//!
//! Who is cut off first is whoever keeps the most for the longest, measured as bytes times time. An honest client that is behind for a
//! moment has little of either; one that never takes what it asked for, or never ends what it began, gathers both. Each relief goes
//! on to seven eighths of its bound, so that the search is paid for by the megabytes that brought it about.

use std::{
    cmp::Reverse,
    io::IoSlice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crosstie_core::Mono;

use super::{Core, counters::count, departed::Reason, lock::lock, peer::Peer};
use crate::options::Options;

/// What a cut-off client is told if its operations were never ended.
const HELD_TOO_LONG: &[u8] = b"-ERR 'Maximum Held Input Exceeded'\r\n";
/// What it is told if it subscribed to so much that others could not subscribe.
const TOO_MANY_SUBSCRIPTIONS: &[u8] = b"-ERR 'maximum subscriptions exceeded'\r\n";
/// What it is told if it never said who it is and others wanted its place.
const TOO_MANY_CONNECTIONS: &[u8] = b"-ERR 'maximum connections exceeded'\r\n";

impl Core {
    /// Ends a client that does not keep up, and counts what is lost with it.
    pub(super) fn cut_off(&self, peer: &Peer, reason: Reason) {
        let Some(lost) = peer.close() else { return };
        peer.parting.note(reason);
        peer.dismissed.store(true, Ordering::Relaxed);
        self.free_later(peer);
        count(&self.counters.slow_consumers, 1);
        count(&self.counters.slow_consumer_msgs, lost);
        peer.report(&self.counters.pending_bytes);
        peer.link.shutdown();
    }

    /// Cuts off slow consumers if all clients together have too much waiting.
    pub(super) fn relieve_pending(&self, options: &Options, now: Mono) {
        let excess = excess(&self.counters.pending_bytes, options.limits.max_pending_total);
        self.relieve(
            excess,
            |peer| {
                let since = lock(&peer.outbox).stuck_since();
                weight(peer.reported.load(Ordering::Relaxed), since, now)
            },
            |peer| {
                let waiting = peer.reported.load(Ordering::Relaxed);
                self.cut_off(peer, Reason::PendingBytes);
                waiting
            },
        );
    }

    /// Cuts off clients with half an operation if all of them together hold too much.
    pub(super) fn relieve_held(&self, options: &Options, now: Mono) {
        let excess = excess(&self.counters.held_input, options.limits.max_held_input_total);
        self.relieve(
            excess,
            |peer| {
                let since = Mono::from_nanos(peer.held_since.load(Ordering::Relaxed));
                weight(peer.held.load(Ordering::Relaxed), Some(since), now)
            },
            |peer| {
                let held = peer.held.swap(0, Ordering::Relaxed);
                self.counters.held_input.fetch_sub(held, Ordering::Relaxed);
                count(&self.counters.held_input_evictions, 1);
                self.evict(peer, Reason::HeldInput, HELD_TOO_LONG);
                held
            },
        );
    }

    /// Cuts off clients with many subscriptions, so that one with next to none finds room. Whoever took the most in the shortest time
    /// goes first: what has been there for long has done no harm so far.
    pub(super) fn relieve_remembered(&self, options: &Options, now: Mono) {
        self.relieve(
            options.limits.max_remembered_total as u64 / 8,
            |peer| {
                let age = now.since(peer.opened).as_millis() + 1000;
                u128::from(peer.remembered.bytes()) * 1_000_000 / age
            },
            |peer| {
                let remembered = self.directory.remembered.leave(&peer.remembered);
                count(&self.counters.subscription_evictions, 1);
                self.evict(peer, Reason::Subscriptions, TOO_MANY_SUBSCRIPTIONS);
                self.put_away(peer);
                remembered
            },
        );
    }

    fn relieve(&self, excess: u64, weigh: impl Fn(&Peer) -> u128, cut: impl Fn(&Peer) -> u64) {
        // One reactor at a time is enough; another that comes meanwhile finds the work being done.
        let Some(_alone) = Some(excess).filter(|excess| *excess > 0).and_then(|_| self.relief.try_lock().ok()) else {
            return;
        };
        let open = self.peers().into_iter().filter(|peer| !peer.is_evicted());
        let mut weighed: Vec<_> = open.map(|peer| (weigh(&peer), peer)).filter(|(weight, _)| *weight > 0).collect();
        weighed.sort_unstable_by_key(|(weight, peer)| (Reverse(*weight), peer.id));
        let mut freed = 0;
        for (_, peer) in weighed {
            if freed >= excess {
                return;
            }
            freed += cut(&peer);
        }
    }

    /// Ends a client for what it makes the broker keep. Its reactor sees its transport end.
    fn evict(&self, peer: &Peer, reason: Reason, text: &[u8]) {
        peer.evicted.store(true, Ordering::Relaxed);
        if lock(&peer.outbox).held() == 0 {
            // A courtesy: a client that has no room for it is not owed it.
            let _ = peer.link.try_write(&[IoSlice::new(text)]);
        }
        self.disconnect_for(peer, reason);
    }

    /// Makes room for one more connection: the oldest of those that have never said who they are goes. False if there is none.
    pub(super) fn make_place(&self) -> bool {
        loop {
            let Some(oldest) = lock(&self.newcomers).pop_front() else { return false };
            let Some(peer) = oldest.upgrade().filter(|peer| peer.is_newcomer()) else { continue };
            count(&self.counters.refused_connections, 1);
            lock(&self.peers).remove(&peer.id);
            self.evict(&peer, Reason::MaxConnections, TOO_MANY_CONNECTIONS);
            return true;
        }
    }

    /// Puts a connection among those that have not said who they are.
    pub(super) fn note_newcomer(&self, peer: &Arc<Peer>) {
        let mut newcomers = lock(&self.newcomers);
        // Two go for each that comes, so that the line is no longer than twice those who stand in it.
        for _ in 0..2 {
            if newcomers.front().is_some_and(|first| !first.upgrade().is_some_and(|peer| peer.is_newcomer())) {
                newcomers.pop_front();
            }
        }
        if newcomers.len() >= newcomers.capacity() {
            newcomers.retain(|waiting| waiting.upgrade().is_some_and(|peer| peer.is_newcomer()));
        }
        newcomers.push_back(Arc::downgrade(peer));
    }
}

/// How much has to go so that `sum` is well within `limit` again; nothing while it is within.
fn excess(sum: &AtomicU64, limit: usize) -> u64 {
    let (sum, limit) = (sum.load(Ordering::Relaxed), limit as u64);
    if sum > limit { sum - (limit - limit / 8) } else { 0 }
}

/// Bytes times how long they have been kept; more than nothing for whoever keeps anything.
fn weight(bytes: u64, since: Option<Mono>, now: Mono) -> u128 {
    let age = since.map_or(0, |since| now.since(since).as_nanos());
    u128::from(bytes) * (age + 1)
}
