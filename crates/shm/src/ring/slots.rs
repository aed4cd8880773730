//! Dense inline slots: the algorithm of a ring of messages of one size, over plain memory.
//!
//! ```text
//!   capacity 4, at most 56 bytes a message: a slot is one line
//!
//!   ┌─────┬─────────────┐ ┌─────┬─────────────┐ ┌─────┬─────────────┐ ┌─────┬─────────────┐
//!   │ 5   │ message 4   │ │ 2   │ (message 1) │ │ 3   │ message 2   │ │ 4   │ message 3   │
//!   └─────┴─────────────┘ └─────┴─────────────┘ └─────┴─────────────┘ └─────┴─────────────┘
//!     stamp                 tail = 5              head = 2
//! ```
//!
//! Positions count messages since the ring was made and never wrap. The slot of position `p` is full when its *stamp* is `p + 1`; before that
//! it holds the stamp of one lap earlier, or 0. So the receiver looks only at the slot, and exactly one line moves per message. The sender
//! reads `head` when the ring looks full by what it remembers of it, which is once per lap.
//!
//! A sender may die at any instruction. The message counts as sent when its stamp is stored, and `tail` may lag behind by what was
//! stamped last: the next sender walks on from `tail` over stamped slots. A receiver's message counts as taken when `head` is
//! stored, and it is handed out after that: a receiver that dies before has taken nothing, and its successor gets the message.

use super::{control::Control, corrupt::Corrupt, prefetch::prepare_to_write};
use crate::{
    faults::{Fault, is_kept, ordering},
    steps::step,
    sync::{AtomicU64, Ordering::*},
};

/// No position gets here: at a message per nanosecond, this is 146 years.
const FARTHEST: u64 = 1 << 62;

/// The memory of all slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots<'m> {
    words: &'m [AtomicU64],
    /// Words from one slot to the next, the stamp included.
    stride: usize,
    mask: u64,
}

impl<'m> Slots<'m> {
    /// Slots of `stride` words each.
    ///
    /// # Panics
    ///
    /// If the number of slots is not a power of two, or the memory is of another length.
    pub(crate) fn new(words: &'m [AtomicU64], stride: usize, capacity: u64) -> Self {
        assert!(capacity.is_power_of_two(), "the number of slots is a power of two, not {capacity}");
        assert!(stride >= 2 && words.len() as u64 == capacity * stride as u64, "the slots fill the memory");
        Self { words, stride, mask: capacity - 1 }
    }

    const fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Stamp and message of the slot of `position`.
    #[inline]
    fn at(&self, position: u64) -> (&'m AtomicU64, &'m [AtomicU64]) {
        #[allow(clippy::cast_possible_truncation, reason = "there are no more slots than words in memory")]
        let first = (position & self.mask) as usize * self.stride;
        let slot = &self.words[first..first + self.stride];
        (&slot[0], &slot[1..])
    }
}

/// Words of a slot for a message of `size` bytes. Up to 56 bytes they divide a line, so that a slot never lies in two; beyond that slots follow
/// each other without a gap, for lines that are moved are what a long queue costs.
pub(crate) const fn stride(size: usize) -> usize {
    let words = 1 + size.div_ceil(8);
    if words <= 8 { words.next_power_of_two() } else { words }
}

/// The sender's half.
#[derive(Debug)]
pub(crate) struct Producer<'m> {
    control: &'m Control,
    slots: Slots<'m>,
    tail: u64,
    /// What the receiver's position was when we last looked.
    head: u64,
}

impl<'m> Producer<'m> {
    /// Goes on where the sender before left off, wherever it died.
    pub(crate) fn resume(control: &'m Control, slots: Slots<'m>) -> Result<Self, Corrupt> {
        // pairs with the Release in Consumer::take.
        let head = control.head.0.load(ordering(Fault::TakenSeen, Acquire));
        Corrupt::unless(head <= FARTHEST, "taken", head, FARTHEST)?;
        // The receiver may have taken what the sender had sent but not yet counted.
        let mut tail = control.tail.0.load(Relaxed).max(head);
        // pairs with the Release in push: a stamped message was sent, whether or not its sender lived to say so.
        while is_kept(Fault::ResumeWalk)
            && tail - head < slots.capacity()
            && slots.at(tail).0.load(ordering(Fault::StampSeen, Acquire)) == tail + 1
        {
            tail += 1;
        }
        Corrupt::unless(tail - head <= slots.capacity(), "sent", tail, head)?;
        control.tail.0.store(tail, Relaxed);
        Ok(Self { control, slots, tail, head })
    }

    /// Messages that fit now without asking the receiver's line.
    #[inline]
    fn room(&self) -> u64 {
        self.slots.capacity() - (self.tail - self.head)
    }

    /// True if there is room for a message; reads the receiver's position if it must.
    #[inline]
    pub(crate) fn has_room(&mut self) -> Result<bool, Corrupt> {
        if self.room() > 0 {
            return Ok(true);
        }
        self.look()
    }

    #[cold]
    fn look(&mut self) -> Result<bool, Corrupt> {
        // pairs with the Release in Consumer::take: it has read the slots that we write next.
        let head = self.control.head.0.load(ordering(Fault::TakenSeen, Acquire));
        Corrupt::unless(head >= self.head && head <= self.tail, "taken", head, self.tail)?;
        self.head = head;
        Ok(self.room() > 0)
    }

    /// Sends one message, which `write` puts into the words of its slot; false if the ring is full.
    #[inline]
    pub(crate) fn push(&mut self, write: impl FnOnce(&[AtomicU64])) -> Result<bool, Corrupt> {
        if !self.has_room()? {
            return Ok(false);
        }
        let (stamp, message) = self.slots.at(self.tail);
        if self.room() > AHEAD {
            // The receiver had it last. Asked for now, it is here when its turn comes.
            let (first, rest) = self.slots.at(self.tail + AHEAD);
            prepare_to_write(first, rest);
        }
        write(message);
        step!("ring.written");
        // pairs with the Acquire in Consumer::peek: the message is whole.
        stamp.store(self.tail + 1, ordering(Fault::Stamp, Release));
        step!("ring.stamped");
        self.tail += 1;
        // For the next sender and for people; it may lag.
        self.control.tail.0.store(self.tail, Relaxed);
        Ok(true)
    }

    /// The words of the slot that the next [`Self::push`] sends, which may be written before; only while there is room.
    #[inline]
    pub(crate) fn next(&self) -> &'m [AtomicU64] {
        self.slots.at(self.tail).1
    }

    /// Messages sent since the ring was made.
    pub(crate) const fn sent(&self) -> u64 {
        self.tail
    }
}

/// The receiver's half.
#[derive(Debug)]
pub(crate) struct Consumer<'m> {
    control: &'m Control,
    slots: Slots<'m>,
    head: u64,
    /// Messages before this position were seen to be there.
    seen: u64,
}

/// Slots that either side looks at ahead of its position, so that so many lines are on their way from the other processor at a time.
const AHEAD: u64 = 16;

impl<'m> Consumer<'m> {
    /// Goes on where the receiver before left off.
    pub(crate) fn resume(control: &'m Control, slots: Slots<'m>) -> Result<Self, Corrupt> {
        // Only receivers store it, and the seat orders those.
        let head = control.head.0.load(Relaxed);
        Corrupt::unless(head <= FARTHEST, "taken", head, FARTHEST)?;
        Ok(Self { control, slots, head, seen: head })
    }

    /// Messages taken since the ring was made.
    pub(crate) const fn taken(&self) -> u64 {
        self.head
    }

    /// True if there is a message. Looks for those behind it as well, where none was known: each is in a line that takes as long to come as the
    /// first, and they come together.
    #[inline]
    pub(crate) fn look_ahead(&mut self) -> Result<bool, Corrupt> {
        if self.head < self.seen {
            return Ok(true);
        }
        while self.seen < self.head + AHEAD && self.peek_at(self.seen - self.head)?.is_some() {
            self.seen += 1;
        }
        Ok(self.head < self.seen)
    }

    /// The words of the next message, which stays in the ring until [`Self::take`].
    #[inline]
    pub(crate) fn peek(&self) -> Result<Option<&'m [AtomicU64]>, Corrupt> {
        if self.head < self.seen {
            return Ok(Some(self.slots.at(self.head).1));
        }
        self.peek_at(0)
    }

    /// The words of the message after `ahead` others.
    #[inline]
    pub(crate) fn peek_at(&self, ahead: u64) -> Result<Option<&'m [AtomicU64]>, Corrupt> {
        if ahead == self.slots.capacity() {
            return Ok(None);
        }
        let position = self.head + ahead;
        let (stamp, message) = self.slots.at(position);
        // pairs with the Release in Producer::push: the message is whole.
        let found = stamp.load(ordering(Fault::StampSeen, Acquire));
        if found == position + 1 {
            return Ok(Some(message));
        }
        // What is not full holds the stamp of one lap earlier, or none in the first lap.
        let before = (position + 1).saturating_sub(self.slots.capacity());
        Corrupt::unless(found == before, "stamp", found, before)?;
        Ok(None)
    }

    /// Takes `count` messages that were seen out of the ring.
    #[inline]
    pub(crate) fn take(&mut self, count: u64) {
        self.head += count;
        self.seen = self.seen.max(self.head);
        // pairs with the Acquire in Producer::look: we have read what it overwrites next.
        self.control.head.0.store(self.head, ordering(Fault::Taken, Release));
        step!("ring.taken");
    }
}
