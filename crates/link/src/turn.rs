//! What a wait for several channels is made of, for tasks and for threads: whose turn it is, and what was found and not taken yet.

use std::time::Duration;

use crosstie_core::{Error, Kind, Result};

use crate::Received;

/// Whose turn it is. Whoever was found ready comes last the next time, so that no number of messages of one keeps those of another from being taken.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    next: usize,
}

impl Turn {
    /// The first that is ready, from the one whose turn it is.
    pub(crate) fn first(&mut self, count: usize, mut is_ready: impl FnMut(usize) -> bool) -> Option<usize> {
        let found = (0..count).map(|ahead| (self.next + ahead) % count).find(|index| is_ready(*index))?;
        self.next = (found + 1) % count;
        Some(found)
    }
}

/// Looks of one wait that have found no message, although something came each time: questions, or what had come before. None of that may keep a wait from its
/// end, and to read the clock each time would be dear.
#[derive(Debug, Default)]
pub(crate) struct InVain(u32);

impl InVain {
    const MOST: u32 = 16;

    /// Counts one more. True now and then: it is time to look at the clock, or to let others have their turn.
    pub(crate) const fn again(&mut self) -> bool {
        self.0 += 1;
        if self.0 < Self::MOST {
            return false;
        }
        self.0 = 0;
        true
    }
}

/// No message came, whether anything else did or not.
pub(crate) fn too_late() -> Error {
    Error::new(Kind::Timeout, "no message came in time")
}

/// A message or an end that was found for somebody who waits for several, and that the next `recv` takes.
pub(crate) struct Ahead<R> {
    found: Option<Result<Received<R>>>,
    /// The end was told.
    is_over: bool,
}

impl<R> Default for Ahead<R> {
    fn default() -> Self {
        Self { found: None, is_over: false }
    }
}

impl<R> Ahead<R> {
    pub(crate) const fn is_there(&self) -> bool {
        self.found.is_some()
    }

    /// Nothing more is to be waited for.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over && self.found.is_none()
    }

    pub(crate) fn put(&mut self, found: Result<Received<R>>) {
        self.found = Some(found);
    }

    pub(crate) const fn take(&mut self) -> Option<Result<Received<R>>> {
        self.found.take()
    }

    /// Takes note of what is told to the user, with whether that is the last.
    pub(crate) fn told(&mut self, told: Result<Received<R>>, has_ended: bool) -> Result<Received<R>> {
        self.is_over |= has_ended && told.is_err();
        told
    }
}

/// All have ended, and all ends were told.
pub(crate) fn all_over(count: usize) -> Error {
    Error::new(Kind::Closed, format!("none of the {count} channels has anything more to come"))
}

pub(crate) fn none_in_time(count: usize, timeout: Duration) -> Error {
    Error::new(Kind::Timeout, format!("no message came over any of {count} channels within {timeout:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_looked_at_now_and_then_for_ever() {
        let mut in_vain = InVain::default();
        let looks: Vec<_> = (1..=100).filter(|_| in_vain.again()).collect();
        assert_eq!(looks, [16, 32, 48, 64, 80, 96]);
    }

    #[test]
    fn whoever_had_its_turn_comes_last_the_next_time() {
        let mut turn = Turn::default();
        let found: Vec<_> = (0..6).map(|_| turn.first(3, |_| true).unwrap()).collect();
        assert_eq!(found, [0, 1, 2, 0, 1, 2]);
        assert_eq!(turn.first(3, |index| index == 1), Some(1));
        assert_eq!(turn.first(3, |index| index != 2), Some(0), "after 1 it is 2, who has nothing, and then 0");
        assert_eq!(turn.first(3, |_| false), None);
        assert_eq!(turn.first(0, |_| true), None);
        // With fewer than before.
        assert_eq!(turn.first(1, |_| true), Some(0));
    }
}
