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
/// The effort of a step of a TLS handshake.
pub(super) const HANDSHAKE: u64 = 2 * TURN;
/// What is read in a turn at most. `docs/decisions/0002-reactor.md` has the measurement.
pub(super) const MAX_READ: usize = 512 * 1024;

/// Whoever used more than this lately is busy: two to three hundredths of a core, kept up. Where a reactor for light clients has much to
/// do, less is enough.
const BUSY: u64 = 20_000;
/// Whoever used less than this lately, in turns that are shorter than that, is served however many have been.
const LIGHT: u64 = 10_000;
const BRIEF: u64 = 200;
/// What a reactor for light clients may have done lately before it looks for those who are not: some seven hundredths of a core.
const MUCH: u64 = 64_000;
/// Nobody who used less than this lately is busy.
const LEAST: u64 = 2_000;
/// After this long, half of what was used is forgotten.
const HALF_LIFE: Duration = Duration::from_millis(64);
/// After this long with the busy, whoever is light by the usual measure is taken back among the light, whatever they have to do.
const STAY: Duration = Duration::from_secs(10);
/// What is read in a turn at least, and at first.
pub(super) const MIN_READ: usize = 4 * 1024;
const FIRST_READ: usize = 32 * 1024;

/// A sum of effort that forgets half of itself with every half-life.
struct Lately {
    sum: u64,
    since: Mono,
}

impl Lately {
    const fn new(now: Mono) -> Self {
        Self { sum: 0, since: now }
    }

    fn at(&mut self, now: Mono) -> u64 {
        let halvings = now.since(self.since).as_nanos() / HALF_LIFE.as_nanos();
        if halvings > 0 {
            self.sum = u32::try_from(halvings).ok().and_then(|n| self.sum.checked_shr(n)).unwrap_or(0);
            self.since = now;
        }
        self.sum
    }
}

/// What one reactor has done lately, and who is too much for it.
///
/// Many clients who each use little add up: where they do, whoever uses most of it goes, until what is left is little again. Of those who
/// use alike, few are too much and many are not: they are what the reactor is for.
pub(super) struct Load(Lately);

impl Load {
    pub(super) const fn new(now: Mono) -> Self {
        Self(Lately::new(now))
    }

    pub(super) const fn note(&mut self, effort: u64) {
        self.0.sum += effort;
    }

    /// Takes leave of a client, and of what it used.
    pub(super) const fn without(&mut self, usage: &Usage) {
        self.0.sum = self.0.sum.saturating_sub(usage.lately.sum);
    }

    /// From how much on a client is busy here.
    pub(super) fn limit(&mut self, now: Mono) -> u64 {
        match self.0.at(now) {
            0..=MUCH => BUSY,
            sum => (BUSY * MUCH / sum).max(LEAST),
        }
    }
}

/// What one client has used of its reactor lately.
pub(super) struct Usage {
    lately: Lately,
    /// By which limit it went to the busy, and when.
    left: (u64, Mono),
    /// What its last turns took, the latest counting most.
    turn: u64,
    read: usize,
}

impl Usage {
    pub(super) const fn new(now: Mono) -> Self {
        Self { lately: Lately::new(now), left: (BUSY, now), turn: 0, read: FIRST_READ }
    }

    /// True if it used more than `limit` lately.
    pub(super) fn is_beyond(&mut self, limit: u64, now: Mono) -> bool {
        self.lately.at(now) > limit
    }

    /// True if it used so little, a little at a time, that it need not wait even after others have had their turns at once.
    pub(super) const fn is_light(&self) -> bool {
        self.lately.sum < LIGHT && self.turn < BRIEF
    }

    /// Notes that it goes to the busy for being beyond `limit`.
    pub(super) const fn leave(&mut self, limit: u64, now: Mono) {
        self.left = (limit, now);
    }

    /// True if its place is among the light again: if it uses less than half of what was too much, so that nobody goes to and fro.
    pub(super) fn may_return(&mut self, now: Mono) -> bool {
        let (limit, since) = self.left;
        let limit = if now.since(since) >= STAY { BUSY } else { limit };
        !self.is_beyond(limit / 2, now)
    }

    /// How much to read in the next turn.
    pub(super) const fn read(&self) -> usize {
        self.read
    }

    /// Notes a turn that took `effort`, whether it read all that it might, and whether it ended before that was taken in: what is left has
    /// to be kept meanwhile.
    pub(super) fn note(&mut self, effort: u64, was_full: bool, was_cut_short: bool) {
        self.lately.sum += effort;
        self.turn = (3 * self.turn + effort) / 4;
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
        assert!(!usage.is_beyond(BUSY, Mono::ZERO));
        usage.note(100_000, true, false);
        assert!(usage.is_beyond(BUSY, Mono::ZERO + MS));
        assert!(!usage.is_beyond(BUSY, Mono::ZERO + 200 * MS));
        usage.note(100_000, true, false);
        assert!(!usage.is_beyond(BUSY, Mono::ZERO + Duration::from_secs(3600)));
    }

    #[test]
    fn a_client_that_says_a_word_now_and_then_is_never_busy() {
        let mut usage = Usage::new(Mono::ZERO);
        for beat in 0..10_000 {
            usage.note(20, false, false);
            assert!(!usage.is_beyond(LEAST * 2, Mono::ZERO + beat * MS));
        }
    }

    #[test]
    fn whoever_takes_long_turns_is_not_light_however_seldom() {
        let mut usage = Usage::new(Mono::ZERO);
        usage.note(75, false, false);
        assert!(usage.is_light());
        for _ in 0..8 {
            usage.note(400, false, false);
        }
        assert!(!usage.is_light());
        for _ in 0..8 {
            usage.note(75, false, false);
        }
        assert!(usage.is_light());
    }

    /// Has `count` clients use `effort` each in every millisecond of a second; says how many of them a reactor keeps.
    fn kept(count: usize, effort: u64) -> usize {
        let mut load = Load::new(Mono::ZERO);
        let mut clients: Vec<_> = (0..count).map(|_| Usage::new(Mono::ZERO)).collect();
        for beat in 0..1000 {
            let now = Mono::ZERO + beat * MS;
            clients.retain_mut(|client| {
                client.note(effort, false, false);
                load.note(effort);
                let goes = client.is_beyond(load.limit(now), now);
                if goes {
                    load.without(client);
                }
                !goes
            });
        }
        clients.len()
    }

    #[test]
    fn many_who_use_a_little_go_until_what_is_left_is_little() {
        assert_eq!(kept(5, 100), 5, "what is no trouble");
        let left = kept(40, 130);
        assert!((1..20).contains(&left), "{left} of 40 who use half of a core together");
        assert_eq!(kept(1000, 10), 1000, "a crowd of equals that fills a core");
    }

    #[test]
    fn whoever_went_comes_back_once_it_uses_half_of_what_was_too_much() {
        let mut usage = Usage::new(Mono::ZERO);
        usage.note(6_000, false, false);
        usage.leave(5_000, Mono::ZERO);
        assert!(!usage.may_return(Mono::ZERO), "as busy as it was");
        assert!(!usage.may_return(Mono::ZERO + 64 * MS), "half as busy");
        assert!(usage.may_return(Mono::ZERO + 128 * MS));
        let later = Mono::ZERO + STAY;
        usage.note(6_000, false, false);
        assert!(usage.may_return(later), "light by the usual measure, and long gone");
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
