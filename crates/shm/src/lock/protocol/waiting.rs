//! Sleeping until a word changes, the deadline comes, or somebody dies.
//!
//! Most waits are short, so the first sleep is a plain futex with a limit of about a millisecond. If that was not enough, the holder is
//! looked at: dead, its locks are recovered on the spot; alive, the waiter sleeps on two words, its own and the segment's *membership*,
//! which changes when anybody joins or was recovered. A watcher of this process sees deaths and recovers (see `watch`). Whoever wakes looks
//! at the truth again.
//!
//! That everybody is watched, and not the holder alone, has two reasons: the holder changes while we sleep; and a waiter may die
//! after it was woken, in which case the lock is free and nobody holds it who could die.

use crosstie_core::Deadline;

use super::{
    armed::Bells,
    faults::{Fault, is_kept},
    orderings,
};
use crate::sync::{AtomicU32, Wake, futex_wait, futex_wait_two};

/// What a lock needs to know about the processes that share it.
pub(crate) trait Peers: Bells {
    /// Recovers everything that the participant in `slot` held, if it is dead. True if something may have changed by it; false if it lives, or
    /// if somebody else is at it, who will wake us.
    fn reap(&self, slot: u32) -> bool;

    /// The word that changes when a participant has joined or was recovered.
    fn membership(&self) -> &AtomicU32;

    /// Makes sure that from here on any death of one who takes part now changes the membership, and says until when to sleep at most, before
    /// looking by oneself.
    fn watch(&self) -> Deadline;

    /// Says in the segment that this thread waits; the waiter withdraws it by [`Peers::unlist`].
    fn list(&self);

    /// Takes back what [`Peers::list`] said.
    fn unlist(&self);

    /// Until when the first sleep lasts at most; `None` to go without.
    fn short_wait(&self) -> Option<Deadline>;

    /// How often to look at a word before sleeping.
    fn spins(&self) -> u32;

    /// True if nobody of this process has looked for a while whether those are alive who are in the way. Asked before the first sleep.
    fn is_time_to_look(&self) -> bool;

    /// True if `deadline` has passed.
    fn is_past(&self, deadline: Deadline) -> bool;
}

/// The deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimedOut;

/// One act of waiting, from its first sleep to its end.
#[derive(Debug)]
pub(crate) struct Wait<'a, P: Peers> {
    pub(super) peers: &'a P,
    deadline: Deadline,
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Awake,
    Slept,
    Listed,
}

impl<'a, P: Peers> Wait<'a, P> {
    /// A wait until `deadline`.
    pub(crate) const fn new(peers: &'a P, deadline: Deadline) -> Self {
        Self { peers, deadline, stage: Stage::Awake }
    }

    /// True if it came to sleeping.
    pub(super) fn has_slept(&self) -> bool {
        self.stage != Stage::Awake
    }

    /// Sleeps while `word` holds `expected`, or less long. The caller looks at its condition afterwards and calls this again if it does not
    /// hold. `reap` recovers the dead among those who are in the way, and says if there were any.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if the deadline had passed before going to sleep. The caller has set the waiters' bit by then, so that a wake which
    /// this waiter used up, to find the lock taken again, is not lost to the others.
    pub(super) fn sleep(
        &mut self,
        word: &AtomicU32,
        expected: u32,
        reap: impl FnOnce(&P) -> bool,
    ) -> Result<(), TimedOut> {
        if self.peers.is_past(self.deadline) {
            return Err(TimedOut);
        }
        if self.stage != Stage::Listed {
            self.stage = Stage::Slept;
            if let Some(short) = self.peers.short_wait() {
                if futex_wait(word, expected, self.deadline.earlier(short)) != Wake::TimedOut {
                    return Ok(());
                }
                if self.peers.is_past(self.deadline) {
                    return Err(TimedOut);
                }
            }
            self.stage = Stage::Listed;
            self.peers.list();
        }
        // Pairs with the change by whoever has recovered somebody: if that came before, what it freed is free in what we look at below, and
        // the word has changed.
        let membership = self.peers.membership().load(orderings::membership_seen());
        let limit = self.deadline.earlier(self.peers.watch());
        if is_kept(Fault::LookForTheDead) && reap(self.peers) {
            return Ok(());
        }
        if is_kept(Fault::MembershipWait) {
            futex_wait_two((word, expected), (self.peers.membership(), membership), limit);
        } else {
            futex_wait(word, expected, limit);
        }
        Ok(())
    }
}

impl<P: Peers> Drop for Wait<'_, P> {
    fn drop(&mut self) {
        if self.stage == Stage::Listed {
            self.peers.unlist();
        }
    }
}
