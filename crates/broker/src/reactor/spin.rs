//! Waiting awake for what comes soon, where whoever runs the broker has asked for it.
//!
//! To wake a sleeping core takes longer than to carry a message. A reactor that spins looks again and again instead of sleeping, which costs a
//! core for as long as it does. So it does only while the last gaps would all have been caught, gives way in each turn, and rests for a
//! while when somebody else wanted the core. An idle broker does not spin. `docs/decisions/0002-reactor.md` has the measurement.

use std::{io, thread, time::Duration};

use crosstie_core::{Clock, Mono};
use crosstie_sys::{Event, Poller};

/// The longest spin, whatever is asked for.
const MAX: Duration = Duration::from_millis(1);
/// Whoever gives way for longer than this has met somebody who wants the core.
const WANTED: Duration = Duration::from_micros(150);
/// How long it sleeps as others do after that.
const REST: Duration = Duration::from_millis(20);

/// Whether and how long one reactor spins.
pub(super) struct Spin {
    limit: Duration,
    /// One bit for each of the last eight gaps: whether a spin would have caught its end.
    caught: u8,
    rest_until: Mono,
}

impl Spin {
    /// Spins for `limit` at most; never if that is zero.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit: limit.min(MAX), caught: 0, rest_until: Mono::ZERO }
    }

    /// Waits as [`Poller::wait`] does.
    ///
    /// # Errors
    ///
    /// As for [`Poller::wait`].
    pub(super) fn wait(
        &mut self,
        poller: &Poller,
        clock: &impl Clock,
        events: &mut Vec<Event>,
        patience: Option<Duration>,
    ) -> io::Result<()> {
        // Whoever has something to do does not wait: it would give way in each turn, and take the time of a turn for a gap.
        if self.limit.is_zero() || patience == Some(Duration::ZERO) {
            return poller.wait(events, patience);
        }
        let start = clock.mono();
        let mut left = patience;
        if self.is_worth_it(start) {
            let until = start + patience.map_or(self.limit, |patience| patience.min(self.limit));
            loop {
                poller.wait(events, Some(Duration::ZERO))?;
                let now = clock.mono();
                if !events.is_empty() {
                    self.note(now.since(start));
                    return Ok(());
                }
                thread::yield_now();
                let after = clock.mono();
                self.gave_way(after.since(now), after);
                if after >= until || after < self.rest_until {
                    left = patience.map(|patience| patience.saturating_sub(after.since(start)));
                    break;
                }
            }
        }
        poller.wait(events, left)?;
        self.note(clock.mono().since(start));
        Ok(())
    }

    fn is_worth_it(&self, now: Mono) -> bool {
        self.caught == u8::MAX && now >= self.rest_until
    }

    fn note(&mut self, gap: Duration) {
        self.caught = self.caught << 1 | u8::from(gap <= self.limit);
    }

    fn gave_way(&mut self, away: Duration, now: Mono) {
        if away > WANTED {
            self.rest_until = now + REST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn eight_short_gaps_begin_it_and_a_long_one_ends_it() {
        let mut spin = Spin::new(100 * US);
        for _ in 0..8 {
            assert!(!spin.is_worth_it(Mono::ZERO));
            spin.note(100 * US);
        }
        assert!(spin.is_worth_it(Mono::ZERO));
        spin.note(101 * US);
        assert!(!spin.is_worth_it(Mono::ZERO));
    }

    #[test]
    fn it_rests_after_somebody_else_wanted_the_core() {
        let mut spin = Spin::new(100 * US);
        (0..8).for_each(|_| spin.note(US));
        spin.gave_way(WANTED, Mono::ZERO);
        assert!(spin.is_worth_it(Mono::ZERO));
        spin.gave_way(WANTED + US, Mono::ZERO);
        assert!(!spin.is_worth_it(Mono::ZERO + REST / 2));
        assert!(spin.is_worth_it(Mono::ZERO + REST));
    }

    #[test]
    fn a_reactor_that_has_something_to_do_learns_nothing_of_gaps() {
        let poller = Poller::new().unwrap();
        let clock = crosstie_core::SystemClock::new();
        let mut spin = Spin::new(MAX);
        for _ in 0..8 {
            spin.wait(&poller, &clock, &mut Vec::new(), Some(Duration::ZERO)).unwrap();
        }
        assert!(!spin.is_worth_it(Mono::ZERO));
    }

    #[test]
    fn no_spin_is_longer_than_a_millisecond() {
        let mut spin = Spin::new(Duration::from_secs(1));
        (0..8).for_each(|_| spin.note(2 * MAX));
        assert!(!spin.is_worth_it(Mono::ZERO));
    }
}
