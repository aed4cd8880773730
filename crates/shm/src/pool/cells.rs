//! The algorithm of loaned buffers, over plain memory: who holds which.
//!
//! ```text
//!   one cell per buffer, 64 bytes
//!   ┌──────────┬────────┬────────────┬─
//!   │ holders  │ author │ generation │      holders: a bit for each participant; bit s - 1 for slot s
//!   └──────────┴────────┴────────────┴─
//! ```
//!
//! A buffer is free when nobody holds it: no bit is set. Loaning is one compare-and-exchange from no bit to one's own, returning is taking
//! one's bit down. A process that dies is taken out of every buffer by taking its bit down, which can be done twice; a count of
//! holders could not be put right.
//!
//! Whoever passes a buffer on sets the receiver's bit *before* it sends the token, so that there is no moment in which nobody holds it. If it dies
//! between the two, the receiver holds a buffer that it does not know of; it returns those with [`Cells::settle`] when it learns of the death.

use crate::{
    faults::{Fault, is_kept, ordering},
    layout::ParticipantId,
    steps::step,
    sync::{AtomicU64, Ordering::*, fence},
};

/// The highest slot that can hold a buffer.
pub(crate) const MAX_SLOT: u32 = 64;

/// One buffer.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(crate) struct Cell {
    holders: AtomicU64,
    /// Who loaned it last: generation << 16 | slot.
    author: AtomicU64,
    /// How often it was loaned.
    generation: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Cell>() == 64);

// SAFETY: made of atomics alone, and of padding that nobody looks at.
#[cfg(not(loom))]
unsafe impl crate::segment::Shared for Cell {}

const fn bit(slot: u32) -> u64 {
    1 << ((slot - 1) & 63)
}

const fn word_of(participant: ParticipantId) -> u64 {
    (participant.generation as u64) << 16 | participant.slot as u64
}

/// Why a buffer was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The receiver holds it already.
    HeldAlready,
    /// The receiver is no participant any more.
    Gone,
}

impl Cell {
    /// Takes the buffer, if nobody holds it; says the how-manieth loan it is.
    pub(crate) fn take(&self, me: ParticipantId) -> Option<u32> {
        if self.holders.load(Relaxed) != 0 {
            return None;
        }
        // pairs with the Release in give_back: whoever held it is done with its bytes.
        self.holders.compare_exchange(0, bit(me.slot), ordering(Fault::Loaned, Acquire), Relaxed).ok()?;
        step!("pool.taken");
        // Only the one holder writes these two. They are read by those whom it gives the buffer.
        let generation = self.generation.load(Relaxed).wrapping_add(1);
        self.generation.store(generation, Relaxed);
        self.author.store(word_of(me), Relaxed);
        step!("pool.signed");
        Some(truncated(generation))
    }

    /// Takes the bit of `slot` down.
    pub(crate) fn give_back(&self, slot: u32) {
        // pairs with the Acquire in take.
        self.holders.fetch_and(!bit(slot), ordering(Fault::Returned, Release));
        step!("pool.returned");
    }

    /// Lets `to` hold it as well, on behalf of a holder. `is_there` is asked after the bit was set: one that is gone gets none, for its slot
    /// may have been put in order just before.
    pub(crate) fn give(&self, to: ParticipantId, is_there: impl FnOnce() -> bool) -> Result<(), Refused> {
        // Release pairs with the Acquire in `is_lost`: who sees the bit sees whose loan it is of.
        if is_kept(Fault::Given) && self.holders.fetch_or(bit(to.slot), Release) & bit(to.slot) != 0 {
            return Err(Refused::HeldAlready);
        }
        step!("pool.given");
        // pairs with the fence in who puts a slot in order: either it sees the bit or we see that the participant is gone.
        fence(SeqCst);
        if is_kept(Fault::GiveCheck) && !is_there() {
            self.give_back(to.slot);
            return Err(Refused::Gone);
        }
        Ok(())
    }

    /// True if `me` holds the loan `generation` of it, as it does once the buffer was given to it.
    pub(crate) fn is_held(&self, me: ParticipantId, generation: u32) -> bool {
        // Acquire is not needed: the token came by a way that orders what was written before it was sent.
        self.holders.load(Relaxed) & bit(me.slot) != 0 && truncated(self.generation.load(Relaxed)) == generation
    }

    /// True if `slot` holds it.
    pub(crate) fn is_held_by(&self, slot: u32) -> bool {
        self.holders.load(Relaxed) & bit(slot) != 0
    }

    /// True if `me` was given it out of a loan of `author`. Only while nobody else of the process returns it or comes by it.
    pub(crate) fn is_lost(&self, author: ParticipantId, me: u32) -> bool {
        // The bit first: as long as it is there the buffer is not loaned anew, so the author is that of the loan which the bit is of.
        // Acquire pairs with the Release in `give`.
        self.holders.load(Acquire) & bit(me) != 0 && (!is_kept(Fault::AuthorSeen) || self.is_by(author))
    }

    /// True if nobody holds it.
    pub(crate) fn is_free(&self) -> bool {
        self.holders.load(Relaxed) == 0
    }

    /// True if `author` was the last to loan it.
    pub(crate) fn is_by(&self, author: ParticipantId) -> bool {
        self.author.load(Relaxed) == word_of(author)
    }
}

/// Takes `slot`, whose process is gone or begins, out of every buffer. Twice is the same as once. True if it held any.
pub(crate) fn withdraw(cells: &[Cell], slot: u32) -> bool {
    // pairs with the fence in give.
    fence(SeqCst);
    let mut held = false;
    for cell in cells {
        if cell.is_held_by(slot) {
            cell.give_back(slot);
            held = true;
        }
    }
    held
}

#[allow(clippy::cast_possible_truncation, reason = "tokens carry the low half")]
const fn truncated(generation: u64) -> u32 {
    generation as u32
}
