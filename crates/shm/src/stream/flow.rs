//! The protocol of one direction of a stream: how far each end is, who has ended it, and who waits. The bytes lie elsewhere.
//!
//! Nobody is woken who has not said that he waits. Who is about to sleep says so, and looks once more; who has changed something looks for the
//! word afterwards. A full fence on both sides between the two steps lets neither miss the other.
//!
//! Whoever dies between a change and the wake that it owes wakes nobody. So who sleeps must be woken by the death of the other side as well, which the
//! user of a stream sees by a lifeline that the kernel cuts; he looks at it before he looks here, and so finds all that was written before.

use crate::{
    faults::{Fault, is_kept, ordering},
    steps::step,
    sync::{AtomicU32, AtomicU64, Ordering::*, fence},
};

/// What a step earned the other side: whether somebody there said that he waits, and has to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "whoever waits sleeps on unless he is woken"]
pub struct Wakes(pub bool);

/// What one end knows of a direction by itself.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// Its own: never read from the memory that is shared.
    pub(super) own: u64,
    /// The other's, as last seen and checked.
    pub(super) theirs: u64,
}

/// The words that both ends of a direction share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow<'m> {
    /// Written by who writes.
    pub(super) tail: &'m AtomicU64,
    pub(super) ended: &'m AtomicU32,
    /// Written by who reads.
    pub(super) head: &'m AtomicU64,
    pub(super) gone: &'m AtomicU32,
    /// Set by who waits, taken by who wakes.
    pub(super) reader_waits: &'m AtomicU32,
    pub(super) writer_waits: &'m AtomicU32,
    pub(super) capacity: u64,
}

/// What a reader finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// So many bytes, at least one.
    Bytes(u64),
    /// No more will come.
    End,
    /// Nothing yet.
    Nothing,
}

/// A position that cannot be: the other side broke the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) what: &'static str,
    pub(super) came: u64,
}

impl Flow<'_> {
    /// True if nothing may be written any more: nobody reads, or the direction has ended.
    pub(super) fn is_closed(self) -> bool {
        self.gone.load(Relaxed) != 0 || self.ended.load(Relaxed) != 0
    }

    /// Room for who writes; the other side is looked at only if what is known of is less than `wanted`.
    pub(super) fn room(self, position: &mut Position, wanted: u64) -> Result<u64, Broken> {
        let room = |position: &Position| self.capacity - (position.own - position.theirs);
        if room(position) < wanted {
            // pairs with the Release in take.
            let head = self.head.load(ordering(Fault::StreamHeadSeen, Acquire));
            if head < position.theirs || head > position.own {
                return Err(Broken { what: "taken", came: head });
            }
            position.theirs = head;
        }
        Ok(room(position))
    }

    /// Makes bytes visible that were written behind its position.
    pub(super) fn publish(self, position: &mut Position, count: u64) -> Wakes {
        step!("stream.written");
        position.own += count;
        // pairs with the Acquire in found: the bytes are there.
        self.tail.store(position.own, ordering(Fault::StreamTail, Release));
        step!("stream.published");
        wakes(self.reader_waits)
    }

    /// What there is for who reads.
    pub(super) fn found(self, position: &mut Position) -> Result<Found, Broken> {
        if position.own == position.theirs {
            // Before the look at the bytes: what came before the end is seen.
            let has_ended = self.ended.load(ordering(Fault::StreamEndedSeen, Acquire)) != 0;
            // pairs with the Release in publish.
            let tail = self.tail.load(ordering(Fault::StreamTailSeen, Acquire));
            if tail < position.theirs || tail - position.own > self.capacity {
                return Err(Broken { what: "sent", came: tail });
            }
            position.theirs = tail;
            if position.own == position.theirs {
                return Ok(if has_ended { Found::End } else { Found::Nothing });
            }
        }
        Ok(Found::Bytes(position.theirs - position.own))
    }

    /// Gives bytes back that were read, to be written over.
    pub(super) fn take(self, position: &mut Position, count: u64) -> Wakes {
        step!("stream.read");
        position.own += count;
        // pairs with the Acquire in room: the bytes were read.
        self.head.store(position.own, ordering(Fault::StreamHead, Release));
        step!("stream.taken");
        let left = position.theirs - position.own;
        if self.is_worth_waking(left) { wakes(self.writer_waits) } else { Wakes(false) }
    }

    /// A writer that sleeps is woken once a quarter is free, or all: waking it for every byte would have it sleep again at once.
    const fn is_worth_waking(self, left: u64) -> bool {
        left == 0 || left <= self.capacity - self.capacity / 4
    }

    /// True if who has read so far would find something, the end included.
    pub(super) fn is_readable(self, own: u64) -> bool {
        // Against this end's own count: what the other could have written is not asked.
        self.tail.load(Acquire) != own || self.ended.load(Acquire) != 0 || self.gone.load(Relaxed) != 0
    }

    /// True if who has written so far would find room for `wanted`, or an error.
    pub(super) fn is_writable(self, own: u64, wanted: u64) -> bool {
        let used = own.wrapping_sub(self.head.load(Acquire));
        used.saturating_add(wanted) <= self.capacity || self.is_closed()
    }

    /// Says that the reader waits. True if it need not, because `is_there` already what it waits for.
    pub(super) fn arm_reading(self, is_there: impl Fn() -> bool) -> bool {
        arm(self.reader_waits, is_there)
    }

    /// The same of the writer.
    pub(super) fn arm_writing(self, is_there: impl Fn() -> bool) -> bool {
        arm(self.writer_waits, is_there)
    }

    /// Says that no more will be written.
    pub(super) fn end_writing(self) -> Wakes {
        // pairs with the Acquire in found.
        self.ended.store(1, ordering(Fault::StreamEnded, Release));
        step!("stream.ended");
        wakes(self.reader_waits)
    }

    /// Says that nobody reads any more.
    pub(super) fn end_reading(self) -> Wakes {
        self.gone.store(1, Release);
        step!("stream.gone");
        wakes(self.writer_waits)
    }
}

/// After a change: whether somebody said that he waits for it. He is told of it once.
fn wakes(flag: &AtomicU32) -> Wakes {
    if is_kept(Fault::StreamWakerFence) {
        // Between the change and the look; pairs with the one in arm.
        fence(SeqCst);
    }
    let wakes = Wakes(flag.load(Relaxed) != 0 && flag.swap(0, Relaxed) != 0);
    step!("stream.told");
    wakes
}

fn arm(flag: &AtomicU32, is_there: impl Fn() -> bool) -> bool {
    if is_kept(Fault::StreamFlag) {
        // An exchange, as every change of the word is one: a model that takes no plain store for later than an exchange would lose wakes that are none.
        flag.swap(1, Relaxed);
    }
    if is_kept(Fault::StreamSleeperFence) {
        // Between the word and the last look; pairs with the one in wakes.
        fence(SeqCst);
    }
    let is_there = is_kept(Fault::StreamLookAgain) && is_there();
    if is_there {
        flag.swap(0, Relaxed);
    }
    is_there
}
