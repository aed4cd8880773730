//! The numbers of many senders, of whom as many are remembered as may be.

use std::collections::BTreeMap;

use super::numbers::{Arrival, Numbers};

/// What a number says of a message of one of many senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is the first of its sender, as far as is remembered.
    First {
        /// So many numbers are before it: lost, sent before anybody listened, or forgotten.
        unheard: u64,
    },
    /// It is the next, after so many that did not come.
    After {
        /// Zero as long as nothing is lost.
        lost: u64,
    },
    /// It was here before.
    Duplicate,
    /// A later one was here before it.
    Late,
}

/// What came of all of them, those included who are forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that came in their order.
    pub came: u64,
    /// Numbers between two that came, those included that came late.
    pub lost: u64,
    /// Numbers before the first that came of a sender.
    pub unheard: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Messages that came after later ones.
    pub late: u64,
    /// Senders that were forgotten because there were too many.
    pub forgotten: u64,
}

/// The senders that one receiver hears.
#[derive(Clone, Debug)]
pub struct Senders<K> {
    most: usize,
    known: BTreeMap<K, Known>,
    /// Counts what comes, so that the one who has been silent the longest is known.
    clock: u64,
    tally: Tally,
}

#[derive(Clone, Debug)]
struct Known {
    numbers: Numbers,
    heard: u64,
}

impl<K: Ord + Clone> Senders<K> {
    /// Remembers at most so many, and at least one.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), known: BTreeMap::new(), clock: 0, tally: Tally::default() }
    }

    /// Takes note of a number. Of too many senders the one who has been silent the longest is forgotten.
    pub fn note(&mut self, sender: K, number: u64) -> Heard {
        self.clock += 1;
        let heard = self.clock;
        if let Some(known) = self.known.get_mut(&sender) {
            known.heard = heard;
            let arrival = known.numbers.note(number);
            return self.count(arrival);
        }
        self.make_room();
        let unheard = number.saturating_sub(1);
        let mut numbers = Numbers::after(unheard);
        numbers.note(number);
        self.known.insert(sender, Known { numbers, heard });
        self.tally.came += 1;
        self.tally.unheard = self.tally.unheard.saturating_add(unheard);
        Heard::First { unheard }
    }

    fn count(&mut self, arrival: Arrival) -> Heard {
        let tally = &mut self.tally;
        match arrival {
            Arrival::After { lost } => {
                tally.came += 1;
                tally.lost = tally.lost.saturating_add(lost);
                Heard::After { lost }
            }
            Arrival::Duplicate => {
                tally.duplicates += 1;
                Heard::Duplicate
            }
            Arrival::Late => {
                tally.late += 1;
                Heard::Late
            }
        }
    }

    fn make_room(&mut self) {
        while self.known.len() >= self.most {
            let silent = self.known.iter().min_by_key(|(_, known)| known.heard).map(|(sender, _)| sender.clone());
            self.known.remove(&silent.expect("it is full, so somebody is there"));
            self.tally.forgotten += 1;
        }
    }

    /// What came of all of them.
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// How many are remembered.
    pub fn remembered(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sender_has_its_own_numbers() {
        let mut senders = Senders::new(8);
        assert_eq!(senders.note('a', 1), Heard::First { unheard: 0 });
        assert_eq!(senders.note('b', 5), Heard::First { unheard: 4 });
        assert_eq!(senders.note('a', 4), Heard::After { lost: 2 });
        assert_eq!(senders.note('b', 6), Heard::After { lost: 0 });
        assert_eq!(senders.note('a', 2), Heard::Late);
        assert_eq!(senders.note('a', 2), Heard::Duplicate);
        assert_eq!(senders.note('b', 4), Heard::Late, "it was sent before the first that came");
        let expected = Tally { came: 4, lost: 2, unheard: 4, duplicates: 1, late: 2, forgotten: 0 };
        assert_eq!(senders.tally(), expected);
    }

    #[test]
    fn no_more_are_remembered_than_may_be_and_who_was_silent_the_longest_is_forgotten_first() {
        let mut senders = Senders::new(3);
        for sender in ['a', 'b', 'c'] {
            senders.note(sender, 1);
        }
        senders.note('a', 2);
        senders.note('d', 1);
        assert_eq!((senders.remembered(), senders.tally().forgotten), (3, 1));
        assert_eq!(senders.note('a', 2), Heard::Duplicate, "it spoke after b did");
        assert_eq!(senders.note('b', 2), Heard::First { unheard: 1 }, "it begins anew");
        // Strangers without end.
        for stranger in 0..10_000_u32 {
            senders.note(char::from_u32(0x1_0000 + stranger).unwrap(), u64::MAX);
        }
        assert_eq!((senders.remembered(), senders.tally().forgotten), (3, 10_002));
        assert_eq!(senders.tally().unheard, u64::MAX, "it stays where it cannot grow");
        // The control: with room for all nobody is forgotten.
        let mut roomy = Senders::new(4);
        for sender in ['a', 'b', 'c', 'd'] {
            roomy.note(sender, 1);
        }
        assert_eq!((roomy.note('b', 1), roomy.tally().forgotten), (Heard::Duplicate, 0));
    }
}
