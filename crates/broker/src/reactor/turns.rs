//! Whose turn it is, and how much it may read then.
//!
//! A reactor serves whoever used little of it lately at once, and those who used much one after the other, looking between two of
//! them whether one of the first kind has become ready. So a client that says a word now and then waits for one turn of one busy
//! client at most, however many there are of those. A busy client's turn ends soon when somebody rings, and late when nobody does.

use std::time::Duration;

use crosstie_core::Mono;

/// What a turn may take before it is asked whether somebody waits, in the core's units of effort. That is a tenth of a millisecond while all
/// of it is in the processor's caches, and several times that where memory is touched for the first time.
pub(super) const TURN: u64 = 1_000;
/// What is read in a turn at most. `docs/decisions/0002-reactor.md` has the measurement.
pub(super) const MAX_READ: usize = 512 * 1024;

/// Whoever used more than this lately is busy: two to three hundredths of a core, kept up.
const BUSY: u64 = 20_000;
/// Whoever used less than this lately is served however many have been.
const LIGHT: u64 = 10_000;
/// After this long, half of what was used is forgotten.
const HALF_LIFE: Duration = Duration::from_millis(64);
/// What is read in a turn at least, and at first.
pub(super) const MIN_READ: usize = 4 * 1024;
const FIRST_READ: usize = 32 * 1024;

/// What one client has used of its reactor lately.
pub(super) struct Usage {
    used: u64,
    since: Mono,
    read: usize,
}

impl Usage {
    pub(super) const fn new(now: Mono) -> Self {
        Self { used: 0, since: now, read: FIRST_READ }
    }

    /// True if it used much lately.
    pub(super) fn is_busy(&mut self, now: Mono) -> bool {
        let halvings = now.since(self.since).as_nanos() / HALF_LIFE.as_nanos();
        if halvings > 0 {
            self.used = u32::try_from(halvings).ok().and_then(|n| self.used.checked_shr(n)).unwrap_or(0);
            self.since = now;
        }
        self.used > BUSY
    }

    /// True if it used so little that it need not wait even after others have had their turns at once.
    pub(super) const fn is_light(&self) -> bool {
        self.used < LIGHT
    }

    /// How much to read in the next turn.
    pub(super) const fn read(&self) -> usize {
        self.read
    }

    /// Notes a turn that took `effort`, whether it read all that it might, and whether it ended before that was taken in: what is left has
    /// to be kept meanwhile.
    pub(super) fn note(&mut self, effort: u64, was_full: bool, was_cut_short: bool) {
        self.used += effort;
        if was_cut_short {
            self.read = (self.read / 2).max(MIN_READ);
        } else if was_full {
            self.read = (self.read * 2).min(MAX_READ);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn whoever_used_much_is_busy_until_it_is_forgotten() {
        let mut usage = Usage::new(Mono::ZERO);
        assert!(!usage.is_busy(Mono::ZERO));
        usage.note(100_000, true, false);
        assert!(usage.is_busy(Mono::ZERO + MS));
        assert!(!usage.is_busy(Mono::ZERO + 200 * MS));
        usage.note(100_000, true, false);
        assert!(!usage.is_busy(Mono::ZERO + Duration::from_secs(3600)));
    }

    #[test]
    fn a_client_that_says_a_word_now_and_then_is_never_busy() {
        let mut usage = Usage::new(Mono::ZERO);
        for beat in 0..10_000 {
            usage.note(100, false, false);
            assert!(!usage.is_busy(Mono::ZERO + beat * MS));
        }
    }

    #[test]
    fn less_is_read_after_a_turn_that_was_cut_short_and_more_after_others() {
        let mut usage = Usage::new(Mono::ZERO);
        for _ in 0..20 {
            usage.note(50_000, true, true);
        }
        assert_eq!(usage.read(), MIN_READ);
        for _ in 0..20 {
            usage.note(50_000, true, false);
        }
        assert_eq!(usage.read(), MAX_READ);
    }
}
