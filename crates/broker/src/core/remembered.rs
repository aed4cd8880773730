//! What all clients together have the broker remember: subscriptions, and what they say of themselves.
//!
//! A client may have no more than what is still free ("dynamic thresholds", Choudhury and Hahne, IEEE/ACM Transactions on Networking
//! 6(2), 1998, there for the buffers of a switch): one that takes all it can ends with half. Many who do so one after the other still
//! leave nothing, and then a client that has next to nothing is let in all the same, at the cost of whoever has the most: the core
//! cuts those off. What they leave takes a moment to clear away; meanwhile it counts as free, within an eighth of the bound.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A sum that is bounded, and the rule by which it is shared.
// Relaxed is enough throughout: it is a bound on memory, and being late by one operation of each reactor is no harm.
#[derive(Default)]
pub(super) struct Remembered {
    total: AtomicU64,
    /// The part of it that belongs to clients who are gone.
    leaving: AtomicU64,
}

/// What a subscription adds: to what its client is charged with, and to the sum. The two differ where clients share what is kept.
#[derive(Clone, Copy)]
pub(super) struct Charge {
    pub(super) own: u64,
    pub(super) sum: u64,
}

/// One client's part.
#[derive(Default)]
pub(super) struct Share {
    bytes: AtomicU64,
    is_leaving: AtomicBool,
}

/// Whether a client may have the broker remember more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is room.
    Free,
    /// There is none, but it has so little that others are to make room.
    Owed,
    /// There is none.
    Full,
}

impl Remembered {
    /// The part of the bound up to which a client is owed room.
    const OWED: u64 = 1024;

    /// Whether the client with `share` may be charged with `more` where all together may have `limit`.
    pub(super) fn room(&self, share: &Share, more: Charge, limit: u64) -> Room {
        let (total, leaving) = (self.total.load(Ordering::Relaxed), self.leaving.load(Ordering::Relaxed));
        let own = share.bytes().saturating_add(more.own);
        if total.saturating_add(more.sum) > limit.saturating_add(limit / 8) {
            return Room::Full;
        }
        if own <= limit.saturating_sub(total.saturating_sub(leaving)) {
            return Room::Free;
        }
        if own <= limit / Self::OWED { Room::Owed } else { Room::Full }
    }

    pub(super) fn add(&self, share: &Share, charge: Charge) {
        share.bytes.fetch_add(charge.own, Ordering::Relaxed);
        self.total.fetch_add(charge.sum, Ordering::Relaxed);
        if share.is_leaving.load(Ordering::Relaxed) {
            self.leaving.fetch_add(charge.own, Ordering::Relaxed);
        }
    }

    pub(super) fn remove(&self, share: &Share, charge: Charge) {
        share.bytes.fetch_sub(charge.own, Ordering::Relaxed);
        self.total.fetch_sub(charge.sum, Ordering::Relaxed);
        if share.is_leaving.load(Ordering::Relaxed) {
            // A charge that came while it was leaving may not have been counted: the sum stops at nothing.
            let less = |leaving: u64| Some(leaving.saturating_sub(charge.own));
            let _ = self.leaving.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Counts what a client has as good as free, since it is gone. Says how much that is.
    pub(super) fn leave(&self, share: &Share) -> u64 {
        if share.is_leaving.swap(true, Ordering::Relaxed) {
            return 0;
        }
        let bytes = share.bytes();
        self.leaving.fetch_add(bytes, Ordering::Relaxed);
        bytes
    }

    /// Bytes remembered now.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

impl Share {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1_000_000;

    const fn both(bytes: u64) -> Charge {
        Charge { own: bytes, sum: bytes }
    }

    #[test]
    fn whoever_takes_all_it_can_leaves_as_much_to_the_next() {
        let remembered = Remembered::default();
        for expected in [500_000, 250_000, 125_000] {
            let own = Share::default();
            while remembered.room(&own, both(10), LIMIT) == Room::Free {
                remembered.add(&own, both(10));
            }
            assert_eq!(own.bytes(), expected);
        }
    }

    #[test]
    fn a_client_with_next_to_nothing_is_owed_room_in_a_full_house() {
        let remembered = Remembered::default();
        let (all, none) = (Share::default(), Share::default());
        remembered.add(&all, both(LIMIT));
        assert_eq!(remembered.room(&none, both(10), LIMIT), Room::Owed);
        assert_eq!(remembered.room(&all, both(10), LIMIT), Room::Full);
        // Whoever had it is cut off, and what it leaves counts as free before it is cleared away.
        assert_eq!(remembered.leave(&all), LIMIT);
        assert_eq!(remembered.room(&none, both(10), LIMIT), Room::Free);
        remembered.add(&none, both(LIMIT / 8));
        assert_eq!(remembered.room(&none, both(10), LIMIT), Room::Full);
        remembered.remove(&all, both(LIMIT));
        assert_eq!(remembered.room(&none, both(10), LIMIT), Room::Free);
    }
}
