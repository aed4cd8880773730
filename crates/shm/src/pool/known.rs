//! What the threads of one process know of a buffer that their process may hold, so that none returns what another has.
//!
//! The bit of a participant says that its process holds a buffer, not whether any of its values does: what was given and not accepted yet has the
//! bit as well. So whoever comes by a buffer, returns it or settles it is alone with it for a moment.

use super::cells::Cell;
use crate::{
    faults::{Fault, is_kept},
    layout::ParticipantId,
    sync::{AtomicU32, Ordering::*, yield_now},
};

/// Whether a value of this process stands for a buffer.
#[derive(Debug, Default)]
pub(crate) struct Known(AtomicU32);

const UNKNOWN: u32 = 0;
const KNOWN: u32 = 1;
/// Somebody is about to make it one of the two.
const MOVING: u32 = 2;

impl Known {
    /// A value of `me` stands for the buffer from now on, if `me` gets a loan of it: the how-manieth. None does if another value does, or is just about to.
    pub(crate) fn loan(&self, cell: &Cell, me: ParticipantId) -> Option<u32> {
        // pairs with the Release in `end`: what was done with the buffer before is done.
        self.0.compare_exchange(UNKNOWN, MOVING, Acquire, Relaxed).ok()?;
        let taken = cell.take(me);
        self.end(if taken.is_some() { KNOWN } else { UNKNOWN });
        taken
    }

    /// The same for a buffer that `me` was given; false if it does not hold this loan of it, `None` if another value stands for the buffer.
    pub(crate) fn accept(&self, cell: &Cell, me: ParticipantId, generation: u32) -> Option<bool> {
        self.begin().then(|| {
            let is_held = cell.is_held(me, generation);
            self.end(if is_held { KNOWN } else { UNKNOWN });
            is_held
        })
    }

    /// Returns the buffer for the value that stands for it, which is its end.
    pub(crate) fn give_back(&self, cell: &Cell, slot: u32) {
        // Relaxed: of what is known nobody else makes anything.
        self.0.store(MOVING, Relaxed);
        cell.give_back(slot);
        self.end(UNKNOWN);
    }

    /// Returns the buffer if no value stands for it and it was given out of a loan of `author`; says whether it was.
    pub(crate) fn settle(&self, cell: &Cell, author: ParticipantId, slot: u32) -> bool {
        let settle = || {
            let is_lost = cell.is_lost(author, slot);
            if is_lost {
                cell.give_back(slot);
            }
            is_lost
        };
        if !is_kept(Fault::SettledAlone) {
            return self.0.load(Acquire) == UNKNOWN && settle();
        }
        self.begin() && {
            let was_lost = settle();
            self.end(UNKNOWN);
            was_lost
        }
    }

    /// Waits until nobody is about to change it, which takes a few instructions; true if no value stands for the buffer, and nobody else comes by it before [`end`](Self::end).
    fn begin(&self) -> bool {
        loop {
            // pairs with the Release in `end`.
            match self.0.compare_exchange(UNKNOWN, MOVING, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(KNOWN) => return false,
                Err(_) => yield_now(),
            }
        }
    }

    fn end(&self, now: u32) {
        self.0.store(now, Release);
    }
}
