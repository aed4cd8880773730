//! What an acquisition yields: the guard, and whether somebody died with the lock before.

use std::fmt;

use crate::layout::ParticipantId;

/// A lock that was got.
#[derive(Debug)]
#[must_use = "dropping it gives the lock back"]
pub struct Acquired<G> {
    /// Holds the lock until it is dropped.
    pub guard: G,
    /// What came before.
    pub outcome: LockOutcome,
}

impl<G> Acquired<G> {
    /// The guard alone. The data is whole either way; to know of deaths is for those who keep something beside it.
    pub fn into_guard(self) -> G {
        self.guard
    }

    /// What had to be recovered, if anything.
    pub const fn recovery(&self) -> Option<Recovery> {
        match self.outcome {
            LockOutcome::Clean => None,
            LockOutcome::Recovered(recovery) => Some(recovery),
        }
    }
}

/// Whether somebody died with the lock before it was got.
// Told by a whole word: a single byte that is written and then copied as part of a word stalls the processor for longer than the lock takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum LockOutcome {
    /// Nobody, or others were told of it.
    Clean,
    /// Somebody did, and this one is told.
    Recovered(Recovery),
}

/// A death with the lock, or several, of which this acquisition is told and no other.
///
/// Should this holder die before it gives the lock back, the next one is told again, of both: a death is told once to one who lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Who died; the last one, if there were several.
    pub dead: ParticipantId,
    /// It left changes without a commit behind (or one of several did), which are undone.
    pub rolled_back: bool,
    /// How many deaths this tells.
    pub deaths: u32,
    /// Only a thread ended, without giving the lock back; its process lives.
    pub was_thread: bool,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.was_thread { "a thread of participant" } else { "participant" };
        write!(f, "{who} {} ended with the lock", self.dead)?;
        if self.deaths > 1 {
            write!(f, ", the last of {}", self.deaths)?;
        }
        f.write_str(if self.rolled_back { "; its changes were undone" } else { "; it had changed nothing" })
    }
}
