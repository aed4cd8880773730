//! The bell of a participant: which of its objects may be ready, and the word on which one thread of its process sleeps for all of them.
//!
//! ```text
//!   object's eventcount        participant's slot                          its process
//!   ┌──────┬──────┬───────┐    ┌──────────────────┐ ┌──────┬───────┐
//!   │ epoch│ bell │ futex │    │ 128 ready bits   │ │ epoch│ futex │ ◄── the listening thread sleeps here, and tells
//!   └──────┴──┬───┴───────┘    └────────▲─────────┘ └──▲───┴───────┘     who has armed: a descriptor or a task
//!             └── whoever finds it up ──┴─ then ───────┘
//! ```
//!
//! Whoever makes an object ready and finds the *bell* flag up sets the object's bit in the slot of the process that waits, and notifies the
//! slot's word. The thread announces itself on the word, takes the bits, and sleeps. Both words are eventcounts, so each half loses no wake by
//! the same argument as a sleeper's, see [`event`](super::event): the bits are the condition of the second.
//!
//! A bit says *may be ready*, never *is ready*: it is set once more, or by mistake, without harm. The flag was taken down before the bit was set, so one
//! arming costs others at most one system call, and nothing at all if nobody armed. Who dies in between has been found dead by the time
//! that the membership of the segment changes, on which the thread sleeps as well; it then tells everybody. Who is stopped in between delays the
//! wake until the thread tells everybody of its own accord, which it does once a second.

use super::{
    event::{Announced, Epoch, Notified},
    fence::Fence,
};
use crate::{
    faults::{Fault, is_kept, ordering},
    steps::step,
    sync::{AtomicU32, AtomicU64, Ordering::*},
};

/// Bits of a participant. Objects beyond share the last, and whoever waits for one of these looks once more often.
pub(crate) const BITS: u32 = 128;

/// The bit of object `number` of a segment.
pub(crate) const fn bit_of(number: u32) -> u32 {
    if number < BITS { number } else { BITS - 1 }
}

/// The bell in a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bell<'m> {
    word: Epoch<'m>,
    ready: &'m [AtomicU64; 2],
}

impl<'m> Bell<'m> {
    pub(crate) const fn new(word: &'m AtomicU32, ready: &'m [AtomicU64; 2]) -> Self {
        Self { word: Epoch(word), ready }
    }

    #[cfg(not(loom))]
    pub(crate) const fn of(slot: &'m crate::layout::ParticipantSlot) -> Self {
        Self::new(&slot.bell, &slot.ready)
    }

    /// Says that the object of `bit` may be ready. A number that is no bit, which only damage makes, rings for nothing.
    #[cold]
    pub(crate) fn ring(self, bit: u32) {
        let Some(bits) = self.ready.get(bit as usize / 64) else { return };
        if is_kept(Fault::RingBit) {
            // pairs with the Acquire in take: who is told sees what it is told of.
            bits.fetch_or(1 << (bit % 64), ordering(Fault::RingBitStored, Release));
        }
        step!("wait.bit_set");
        if is_kept(Fault::RingWake) {
            let notified = self.word.notify(Fence::Full);
            // Only damage can set it; the sleepers are woken all the same.
            debug_assert!(!cfg!(loom) || notified == Notified::Done, "no flag of a bell asks for another bell");
        }
    }

    fn take(self) -> [u64; 2] {
        // Reading costs nothing where nothing was set, and a swap does. pairs with the Release in ring.
        let seen = ordering(Fault::RingBitSeen, Acquire);
        [0, 1].map(|at| if self.ready[at].load(Relaxed) == 0 { 0 } else { self.ready[at].swap(0, seen) })
    }
}

/// One participation, as the thread that listens for it sees it.
#[derive(Debug)]
pub(crate) struct Listener<'m> {
    bell: Bell<'m>,
    membership: &'m AtomicU32,
    members: u32,
    announced: Option<Announced>,
}

/// What was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// A bit for each object that may be ready.
    pub(crate) bits: [u64; 2],
    /// Somebody joined, left, died, or the segment is of no more use: anything may be ready.
    pub(crate) members: bool,
}

impl Heard {
    /// It concerns everybody.
    #[cfg(not(loom))]
    pub(crate) const ANYTHING: Self = Self { bits: [0; 2], members: true };

    /// True if it concerns the object of `bit`.
    pub(crate) const fn is_for(&self, bit: u32) -> bool {
        self.members || self.bits[(bit / 64) as usize] & 1 << (bit % 64) != 0
    }

    /// True if it concerns nobody.
    pub(crate) const fn is_nothing(&self) -> bool {
        !self.members && self.bits[0] | self.bits[1] == 0
    }
}

impl<'m> Listener<'m> {
    /// `members` is the membership that was seen before: by who listened here, or by who armed first, before it looked at its object.
    pub(crate) const fn new(bell: Bell<'m>, membership: &'m AtomicU32, members: u32) -> Self {
        Self { bell, membership, members, announced: None }
    }

    /// What has come since the last time. After this the thread may sleep on [`Self::words`].
    pub(crate) fn listen(&mut self) -> Heard {
        let mut heard = Heard::default();
        // pairs with the Release in Segment::announce: what happened before is seen by who is told.
        let members = self.membership.load(Acquire);
        if is_kept(Fault::HeardMembers) && self.members != members {
            heard.members = true;
        }
        self.members = members;
        // A word that nobody has touched was looked behind already.
        if self.announced.is_none_or(|announced| !self.bell.word.is_still(announced)) {
            self.announced = Some(self.bell.word.sleeper(|| Fence::Full));
            if is_kept(Fault::HeardLook) {
                heard.bits = self.bell.take();
            }
        }
        heard
    }

    /// The words to sleep on and what they held when [`Self::listen`] looked.
    ///
    /// # Panics
    ///
    /// If it did not look yet.
    pub(crate) fn words(&self) -> [(&'m AtomicU32, u32); 2] {
        let announced = self.announced.expect("it has listened before it sleeps");
        [self.bell.word.word(announced), (self.membership, self.members)]
    }

    /// Nobody listens here any more; the membership that was seen last.
    pub(crate) fn stop(&self) -> u32 {
        self.bell.word.withdraw();
        self.members
    }
}
