//! What a thread does while nothing comes through shared memory: it looks for a while, and then sleeps, or looks on.

use std::{
    hint,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{Wait, instant_after};
use crosstie_sys::processors;

/// How often to look before sleeping, learned from the looks before.
pub(crate) struct Spin {
    wait: Wait,
    looks: AtomicU32,
    /// Waits that looking did not end, since the last trial.
    in_vain: AtomicU32,
    /// Where this process may run, one bit each.
    processors: u64,
}

/// Looks of who tries whether times have changed: longer than it takes to wake a sleeper, also on a virtual machine, where that is some 50 µs. Else two who
/// have both come to sleep at each message would never find out that both could look. A look takes 15 to 30 ns.
const LONGEST: u32 = 4096;
/// Looks where looking has not helped lately.
const SHORTEST: u32 = 16;
/// Of so many waits one looks long.
const RETRY_AFTER: u32 = 32;
/// Looks of who never sleeps between two looks at everything else.
const ROUND: u32 = 1024;

impl Spin {
    pub(crate) fn new(wait: Wait) -> Self {
        Self { wait, looks: AtomicU32::new(LONGEST), in_vain: AtomicU32::new(0), processors: processors::allowed() }
    }

    pub(crate) const fn is_busy(&self) -> bool {
        matches!(self.wait, Wait::Busy)
    }

    /// Looks for a while; true once it is there. `across` is where the other side may run: if there is one processor for both, nobody else runs
    /// while this thread looks.
    pub(crate) fn looks(&self, across: u64, is_there: impl Fn() -> bool) -> bool {
        let is_alone = (self.processors | across).count_ones() < 2;
        if is_alone || self.wait == Wait::Park {
            return false;
        }
        let budget = self.budget();
        for look in 0..budget {
            if is_there() {
                self.helped(budget, look);
                return true;
            }
            hint::spin_loop();
        }
        self.looks.store((budget / 4).max(SHORTEST), Relaxed);
        false
    }

    /// Looks until it is there or the time is up. `rest` is what somebody has to see to meanwhile.
    pub(crate) fn look_on(&self, timeout: Option<Duration>, is_there: impl Fn() -> bool, rest: impl Fn()) -> bool {
        let until = timeout.map(|timeout| instant_after(Instant::now(), timeout));
        loop {
            for _ in 0..ROUND {
                if is_there() {
                    return true;
                }
                hint::spin_loop();
            }
            rest();
            if until.is_some_and(|until| Instant::now() >= until) {
                return is_there();
            }
            // Where the other side has no processor but this one, it gets it.
            thread::yield_now();
        }
    }

    /// Counts that two threads may both change: neither has to be exact.
    fn budget(&self) -> u32 {
        let looks = self.looks.load(Relaxed);
        if looks < LONGEST && self.in_vain.fetch_add(1, Relaxed).is_multiple_of(RETRY_AFTER) { LONGEST } else { looks }
    }

    /// After so many looks: the next wait may take four times as long, and no less than this one. A quick answer where looking was of no use lately does
    /// not make the next wait in vain an expensive one, and where it is of use it does not make the next one too short.
    fn helped(&self, budget: u32, looks: u32) {
        // What a trial was given is not what helped.
        let before = self.looks.load(Relaxed).min(budget);
        let enough = (4 * looks + 4 * SHORTEST).min(LONGEST);
        self.looks.store(before.max(enough), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const HERE: u64 = 1;
    const THERE: u64 = 2;

    fn spin(wait: Wait) -> Spin {
        Spin { processors: HERE, ..Spin::new(wait) }
    }

    /// Looks until the `at`th look; how many there were.
    fn looked(spin: &Spin, at: u32) -> u32 {
        looked_across(spin, THERE, at)
    }

    fn looked_across(spin: &Spin, across: u64, at: u32) -> u32 {
        let count = Cell::new(0);
        spin.looks(across, || {
            count.set(count.get() + 1);
            count.get() >= at
        });
        count.get()
    }

    #[test]
    fn looking_in_vain_grows_short_and_is_tried_again() {
        let spin = spin(Wait::Adaptive);
        for _ in 0..8 {
            looked(&spin, u32::MAX);
        }
        let looks: Vec<_> = (0..RETRY_AFTER).map(|_| looked(&spin, u32::MAX)).collect();
        assert_eq!(looks.iter().filter(|looks| **looks == LONGEST).count(), 1);
        assert!(looks.iter().filter(|looks| **looks <= LONGEST / 16).count() >= looks.len() - 3);
    }

    /// Two who both sleep at each message find out that both could look: a trial that lasts as long as it takes to wake the other helps, and from
    /// then on every wait may last as long.
    #[test]
    fn a_trial_that_helped_makes_the_next_waits_long_enough() {
        let spin = spin(Wait::Adaptive);
        let waking = LONGEST / 3;
        for _ in 0..8 {
            looked(&spin, u32::MAX);
        }
        let waits = (0..2 * RETRY_AFTER).take_while(|_| looked(&spin, waking) < waking).count();
        assert!(waits < RETRY_AFTER as usize, "{waits} in vain");
        assert!((0..100).all(|_| looked(&spin, waking) == waking));
    }

    #[test]
    fn a_quick_answer_does_not_make_the_next_wait_a_long_one() {
        let spin = spin(Wait::Adaptive);
        for _ in 0..8 {
            looked(&spin, u32::MAX);
        }
        looked(&spin, 3);
        let next: Vec<_> = (0..2).map(|_| looked(&spin, u32::MAX)).collect();
        assert!(next.iter().any(|looks| *looks < LONGEST / 16), "{next:?}");
    }

    /// As when a stream is full or empty in turn: some waits are over at once and some take as long as a copy.
    #[test]
    fn quick_answers_do_not_make_the_waits_between_them_too_short() {
        let spin = spin(Wait::Adaptive);
        for _ in 0..100 {
            assert_eq!(looked(&spin, 1), 1);
            assert_eq!(looked(&spin, LONGEST / 8), LONGEST / 8);
        }
    }

    #[test]
    fn nobody_looks_who_sleeps_at_once_and_who_is_busy_looks_until_it_is_there() {
        assert_eq!(looked(&spin(Wait::Park), 1), 0);
        let adaptive = spin(Wait::Adaptive);
        assert_eq!(
            (looked_across(&adaptive, HERE, 1), looked_across(&adaptive, 0, 1)),
            (0, 0),
            "one processor for both"
        );
        assert_eq!(looked_across(&adaptive, HERE | THERE, 1), 1);
        let (busy, count, rests) = (spin(Wait::Busy), Cell::new(0), Cell::new(0));
        let look = |at: u32| {
            count.set(count.get() + 1);
            count.get() == at
        };
        assert!(busy.look_on(None, || look(5 * ROUND), || rests.set(rests.get() + 1)));
        assert_eq!((count.get(), rests.get()), (5 * ROUND, 4));
        assert!(!busy.look_on(Some(Duration::from_millis(2)), || false, || {}));
    }
}
