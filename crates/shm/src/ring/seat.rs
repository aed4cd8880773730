//! One end of a ring: who sits there, how it fences, where it may run.

use crate::{
    faults::{Fault, ordering},
    layout::ParticipantId,
    sync::{AtomicU32, AtomicU64, Ordering::*, fence},
    wait::Fence,
};

/// Set beside the owner when it got up on purpose.
const LEFT: u64 = 1 << 63;

/// The word that names a participant in a seat.
const fn word_of(owner: ParticipantId) -> u64 {
    (owner.generation as u64) << 16 | (owner.slot & 0xffff) as u64
}

const fn owner_of(word: u64) -> Option<ParticipantId> {
    #[allow(clippy::cast_possible_truncation, reason = "the fields are cut out of the word")]
    let (slot, generation) = ((word & 0xffff) as u32, (word >> 16) as u32);
    // A slot is numbered from 1; 0 is nobody.
    if slot == 0 { None } else { Some(ParticipantId { slot, generation }) }
}

/// The words of one end.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// 0, or who sits here, or who sat here and left.
    owner: AtomicU64,
    /// The processors that it may use.
    processors: AtomicU64,
    fence: AtomicU32,
    /// Which bit of its process says that this ring has something for it, plus 1; 0 none.
    bit: AtomicU32,
}

/// Who sits in a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Never,
    By(ParticipantId),
    LeftBy(ParticipantId),
}

impl Seat {
    /// Who sits here.
    #[inline]
    pub(crate) fn taken(&self) -> Taken {
        // pairs with the Release in leave and take: what the owner did before is visible.
        let word = self.owner.load(ordering(Fault::SeatSeen, Acquire));
        match owner_of(word & !LEFT) {
            None => Taken::Never,
            Some(owner) if word & LEFT != 0 => Taken::LeftBy(owner),
            Some(owner) => Taken::By(owner),
        }
    }

    /// True once the owner has left on purpose.
    #[inline]
    pub(crate) fn has_left(&self) -> bool {
        // pairs with the Release in leave: everything that it sent is visible.
        self.owner.load(ordering(Fault::SeatSeen, Acquire)) & LEFT != 0
    }

    /// Sits down, unless somebody who lives sits here already; then that one is returned.
    pub(crate) fn take(
        &self,
        me: ParticipantId,
        ours: Fence,
        processors: u64,
        mut is_alive: impl FnMut(ParticipantId) -> bool,
    ) -> Result<(), ParticipantId> {
        loop {
            let word = self.owner.load(Acquire);
            if let Some(owner) = owner_of(word)
                && word & LEFT == 0
                && is_alive(owner)
            {
                return Err(owner);
            }
            // Acquire: the positions that the one before us left behind. Release: pairs with taken.
            if self.owner.compare_exchange(word, word_of(me), AcqRel, Relaxed).is_ok() {
                break;
            }
        }
        self.processors.store(processors, Relaxed);
        self.fence.store(ours.word(), Relaxed);
        self.bit.store(0, Relaxed);
        // A sleeper that still read the old kind of fence announced itself before this one, so our next look sees it.
        fence(SeqCst);
        Ok(())
    }

    /// Gets up on purpose; the other side will see what was done before.
    pub(crate) fn leave(&self, me: ParticipantId) {
        // It may have been taken from us only if we were dead. pairs with the Acquire in has_left.
        let _ = self.owner.compare_exchange(word_of(me), word_of(me) | LEFT, ordering(Fault::Seat, Release), Relaxed);
    }

    #[inline]
    pub(crate) fn fence(&self) -> Fence {
        // Relaxed is enough: ordered by the full fences, see take.
        Fence::of_word(self.fence.load(Relaxed))
    }

    pub(crate) fn processors(&self) -> u64 {
        self.processors.load(Relaxed)
    }

    /// The bit of the owner's process, if it waits on its descriptor.
    pub(crate) fn bit(&self) -> Option<u32> {
        // pairs with the Release in set_bit.
        self.bit.load(Acquire).checked_sub(1)
    }

    pub(crate) fn set_bit(&self, bit: Option<u32>) {
        // pairs with the Acquire in bit.
        self.bit.store(bit.map_or(0, |bit| bit + 1), Release);
    }
}
