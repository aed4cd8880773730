//! The slot of a participant: who it is, and what others tell it.

use std::fmt;

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A participant for as long as it lives: its slot, and the generation that tells it from earlier and later ones in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId {
    /// The slot, from 1; 0 is nobody.
    pub slot: u32,
    /// How often the slot had been taken when this one took it.
    pub generation: u32,
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// What a slot says about itself. Whether its process lives is not among it: that is what the lock on its byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParticipantState {
    /// Nobody is in it. What it says of a process is of the last one that was.
    Free,
    /// Taken, by a process that lives or has died since.
    Live,
    /// Somebody who has the lock on its byte is putting in order what its last process left.
    Reaping,
}

impl ParticipantState {
    /// The state that a number stands for; a number that stands for none is read as `Reaping`, which claims the least.
    pub const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Free,
            1 => Self::Live,
            _ => Self::Reaping,
        }
    }

    /// The number in the slot.
    pub const fn number(self) -> u32 {
        match self {
            Self::Free => 0,
            Self::Live => 1,
            Self::Reaping => 2,
        }
    }
}

/// One row of the participant table, 256 bytes.
#[repr(C)]
#[derive(Debug)]
pub struct ParticipantSlot {
    /// A [`ParticipantState`] as a number.
    pub state: AtomicU32,
    /// Grows by one whenever the slot is taken.
    pub generation: AtomicU32,
    /// The process id; only to tell people, and to open a pidfd that is then checked.
    pub pid: AtomicU32,
    /// The slot of whoever reaps it, while it is reaped.
    pub reaper: AtomicU32,
    /// The inode of its PID namespace.
    pub namespace: AtomicU64,
    /// When the process started, in clock ticks since boot.
    pub start: AtomicU64,
    /// When it joined, on the calendar, in nanoseconds.
    pub joined: AtomicU64,
    /// The index of a lock that a thread of it waits for, plus 1; 0 if none. The last writer wins: for people.
    pub waits_for: AtomicU32,
    /// Bit 0: a thread of the process listens for all of its objects here; the rest counts up when it is woken.
    pub bell: AtomicU32,
    /// Which of the objects that it waits for may be ready, by their bits.
    pub ready: [AtomicU64; 2],
    /// The name of the process.
    pub name: [AtomicU64; 8],
    /// Events written so far.
    pub events: AtomicU64,
    reserved: [AtomicU64; 15],
}

impl ParticipantSlot {
    /// The state now. Acquire: what was written before the state was stored is seen.
    pub fn state(&self) -> ParticipantState {
        ParticipantState::from_number(self.state.load(Ordering::Acquire))
    }
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<ParticipantSlot>() == 256);
    assert!(offset_of!(ParticipantSlot, generation) == 4);
    assert!(offset_of!(ParticipantSlot, namespace) == 16);
    assert!(offset_of!(ParticipantSlot, joined) == 32);
    assert!(offset_of!(ParticipantSlot, waits_for) == 40);
    assert!(offset_of!(ParticipantSlot, bell) == 44);
    assert!(offset_of!(ParticipantSlot, ready) == 48);
    assert!(offset_of!(ParticipantSlot, name) == 64);
    assert!(offset_of!(ParticipantSlot, events) == 128);
};
