//! When something is due, and for whom.
//!
//! A timer that is not wanted any more is not searched for: it rings in vain. Each pause of a client leaves one behind, and so does each
//! move to the other twin, and they may have minutes to go; so they are weeded out before they outnumber those that are wanted.

use std::{cmp::Reverse, collections::BinaryHeap};

use crosstie_core::Mono;

/// As many may ring in vain, however few clients there are.
const MIN: usize = 64;

/// Timers by when they ring.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Mono, u64)>>,
}

impl Timers {
    /// When the next one rings; never, if there is none.
    pub(super) fn next(&self) -> Mono {
        self.heap.peek().map_or(Mono::MAX, |Reverse((at, _))| *at)
    }

    pub(super) fn set(&mut self, at: Mono, token: u64) {
        self.heap.push(Reverse((at, token)));
    }

    /// Takes the next one, if it rings by `now`.
    pub(super) fn ring(&mut self, now: Mono) -> Option<(Mono, u64)> {
        if now < self.next() {
            return None;
        }
        self.heap.pop().map(|Reverse(timer)| timer)
    }

    /// Weeds out those that are not wanted, once they may be more than the others: `wanted` is how many there are of those at most.
    pub(super) fn weed(&mut self, wanted: usize, mut is_wanted: impl FnMut(Mono, u64) -> bool) {
        if self.heap.len() <= 2 * wanted + MIN {
            return;
        }
        let mut timers = std::mem::take(&mut self.heap).into_vec();
        timers.retain(|Reverse((at, token))| is_wanted(*at, *token));
        timers.sort_unstable();
        timers.dedup();
        timers.shrink_to(2 * wanted + MIN);
        self.heap = timers.into();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn they_ring_in_order_and_none_too_early() {
        let mut timers = Timers::default();
        for (ms, token) in [(3, 30), (1, 10), (2, 20)] {
            timers.set(Mono::ZERO + ms * MS, token);
        }
        assert_eq!(timers.ring(Mono::ZERO), None);
        let now = Mono::ZERO + 2 * MS;
        assert_eq!(timers.ring(now), Some((Mono::ZERO + MS, 10)));
        assert_eq!(timers.ring(now), Some((now, 20)));
        assert_eq!(timers.ring(now), None);
        assert_eq!(timers.next(), Mono::ZERO + 3 * MS);
    }

    #[test]
    fn however_often_a_client_pauses_its_timers_stay_few() {
        let mut timers = Timers::default();
        let due = Mono::ZERO + Duration::from_secs(3600);
        timers.set(due, 7);
        for pause in 0..100_000 {
            let until = Mono::ZERO + pause * MS;
            timers.set(until, 7);
            timers.weed(1, |at, token| (at, token) == (until, 7));
            assert_eq!(timers.ring(until), Some((until, 7)), "what is wanted rings");
            timers.set(due, 7);
            timers.weed(1, |at, token| (at, token) == (due, 7));
            assert!(timers.heap.len() <= 2 + MIN, "{} timers", timers.heap.len());
        }
        assert_eq!(timers.next(), due);
    }
}
