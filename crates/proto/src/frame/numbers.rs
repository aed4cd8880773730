//! What is missing, doubled or late, by the numbers of messages.

/// What a number says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the next, after so many that did not come.
    After {
        /// Zero as long as nothing is lost.
        lost: u64,
    },
    /// It was here before.
    Duplicate,
    /// It was taken for lost: messages after it have been delivered.
    Late,
}

/// The numbers that have come, in one direction.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    last: u64,
    /// Bit `n` says that `last - n` has come.
    seen: u64,
    lost: u64,
    duplicates: u64,
    late: u64,
}

impl Numbers {
    /// Those after `last`, of which nothing is known.
    pub(super) fn after(last: u64) -> Self {
        Self { last, ..Self::default() }
    }

    /// Takes note of one.
    #[inline]
    pub fn note(&mut self, number: u64) -> Arrival {
        if number > self.last {
            let ahead = number - self.last;
            self.seen = if ahead < 64 { self.seen << ahead | 1 } else { 1 };
            self.last = number;
            self.lost += ahead - 1;
            return Arrival::After { lost: ahead - 1 };
        }
        let behind = self.last - number;
        let bit = if behind < 64 { 1 << behind } else { 0 };
        // What is too old to be known counts as late.
        if self.seen & bit != 0 {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        self.seen |= bit;
        self.late += 1;
        Arrival::Late
    }

    /// Takes note that the other side has sent none after `last`; says how many are lost at the end.
    pub fn end(&mut self, last: u64) -> u64 {
        let lost = last.saturating_sub(self.last);
        self.last = self.last.max(last);
        self.lost += lost;
        lost
    }

    /// The highest number so far.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Messages that did not come, those included that came late.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Messages that came again.
    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Messages that came after later ones.
    pub const fn late(&self) -> u64 {
        self.late
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_in_a_row_are_the_next() {
        let mut numbers = Numbers::default();
        assert!((1..1000).all(|number| numbers.note(number) == Arrival::After { lost: 0 }));
        assert_eq!((numbers.lost(), numbers.duplicates(), numbers.late()), (0, 0, 0));
    }

    #[test]
    fn the_same_as_a_model_that_remembers_all_within_the_window() {
        let mut random = 1u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let (mut numbers, mut seen, mut last) = (Numbers::default(), HashSet::new(), 0u64);
        let (mut lost, mut duplicates, mut late) = (0, 0, 0);
        for _ in 0..100_000 {
            let number = match next() % 4 {
                0 => last + 1 + next() % 5,
                1 => last.saturating_sub(next() % 60).max(1),
                _ => last + 1,
            };
            let expected = if number > last {
                let gap = number - last - 1;
                (lost, last) = (lost + gap, number);
                Arrival::After { lost: gap }
            } else if seen.contains(&number) {
                duplicates += 1;
                Arrival::Duplicate
            } else {
                late += 1;
                Arrival::Late
            };
            seen.insert(number);
            assert_eq!(numbers.note(number), expected, "number {number} after {last}");
        }
        assert_eq!((numbers.lost(), numbers.duplicates(), numbers.late()), (lost, duplicates, late));
    }

    #[test]
    fn the_end_shows_what_is_lost_last() {
        let mut numbers = Numbers::default();
        numbers.note(1);
        assert_eq!((numbers.end(4), numbers.lost()), (3, 3));
        assert_eq!(numbers.end(4), 0);
    }
}
