//! Byte ring: the algorithm of a ring of frames of any length, over plain memory.
//!
//! ```text
//!   ┌────────────┬───────────────────┬────────────┬──────────────┬─────┬ ─ ─ ─ ─
//!   │ data │ 13  │ 13 bytes, 3 unused│ data │ 40  │ 40 bytes     │  0  │ free
//!   └────────────┴───────────────────┴────────────┴──────────────┴─────┴ ─ ─ ─ ─
//!   head                             8 bytes                     tail
//! ```
//!
//! A frame is a header of 8 bytes, {length u32, kind u32}, and its bytes, padded to 8. Frames do not wrap around the end: what is left there
//! is skipped by a frame of kind *rest*. Positions count bytes since the ring was made and never wrap.
//!
//! The header is stored last, with release. Before that the sender stores 0 where the *next* header will be; so the word at `tail` is 0 until a
//! frame is there, whatever bytes an earlier lap left, and the receiver looks only at it. The word of the next header must be free
//! too, hence the ring holds 8 bytes less than its size.
//!
//! Death is as in the ring of slots: sent means that the header is stored, taken means that `head` is stored.

use super::{control::Control, corrupt::Corrupt};
use crate::{
    faults::{Fault, is_kept, ordering},
    steps::step,
    sync::{AtomicU64, Ordering::*},
};

const HEADER: u64 = 8;
const DATA: u64 = 1 << 32;
const REST: u64 = 2 << 32;
/// No position gets here: at a gigabyte per second, this is 146 years.
const FARTHEST: u64 = 1 << 62;

/// The memory of the frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames<'m> {
    words: &'m [AtomicU64],
}

/// Bytes that a frame of `length` bytes takes, its header included.
const fn size(length: u64) -> u64 {
    HEADER + length.next_multiple_of(8)
}

impl<'m> Frames<'m> {
    /// # Panics
    ///
    /// If the length is not a power of two of at least 64 bytes.
    pub(crate) fn new(words: &'m [AtomicU64]) -> Self {
        assert!(words.len().is_power_of_two() && words.len() >= 8, "a byte ring has a power of two of words");
        Self { words }
    }

    pub(crate) const fn capacity(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    /// The longest frame: it must fit behind the skipped rest of a lap and leave room for the next header.
    pub(crate) const fn longest(&self) -> u64 {
        self.capacity() / 2 - 2 * HEADER
    }

    #[allow(clippy::cast_possible_truncation, reason = "the index is below the number of words in memory")]
    fn index(&self, position: u64) -> usize {
        ((position & (self.capacity() - 1)) / 8) as usize
    }

    #[inline]
    fn word(&self, position: u64) -> &'m AtomicU64 {
        &self.words[self.index(position)]
    }

    /// Bytes from `position` to the end of the memory.
    const fn left_from(&self, position: u64) -> u64 {
        self.capacity() - (position & (self.capacity() - 1))
    }

    #[allow(clippy::cast_possible_truncation, reason = "a frame is shorter than the memory")]
    fn payload(&self, position: u64, length: u64) -> &'m [AtomicU64] {
        let first = self.index(position + HEADER);
        &self.words[first..first + length.div_ceil(8) as usize]
    }
}

/// A frame's place before it is sent.
#[derive(Debug)]
pub(crate) struct Place<'m> {
    pub(crate) words: &'m [AtomicU64],
    position: u64,
    length: u64,
}

/// The sender's half.
#[derive(Debug)]
pub(crate) struct Producer<'m> {
    control: &'m Control,
    frames: Frames<'m>,
    tail: u64,
    head: u64,
}

impl<'m> Producer<'m> {
    /// Goes on where the sender before left off, wherever it died.
    pub(crate) fn resume(control: &'m Control, frames: Frames<'m>) -> Result<Self, Corrupt> {
        // pairs with the Release in Consumer::take.
        let head = control.head.0.load(ordering(Fault::TakenSeen, Acquire));
        Corrupt::unless(head <= FARTHEST && head.is_multiple_of(8), "taken", head, FARTHEST)?;
        let mut tail = control.tail.0.load(Relaxed);
        // The receiver may have taken what the sender had sent but not yet counted.
        tail = tail.max(head);
        loop {
            Corrupt::unless(tail.is_multiple_of(8) && tail - head < frames.capacity(), "sent", tail, head)?;
            // pairs with the Release in publish: what has a header was sent.
            match frame_at(frames, tail, head + frames.capacity())? {
                Some(frame) if is_kept(Fault::ResumeWalk) => tail += frame.size,
                _ => break,
            }
        }
        control.tail.0.store(tail, Relaxed);
        Ok(Self { control, frames, tail, head })
    }

    /// True if `bytes` and the header after them are free; reads the receiver's position if it must.
    #[inline]
    fn has_room(&mut self, bytes: u64) -> Result<bool, Corrupt> {
        let limit = self.frames.capacity() - bytes - HEADER;
        if self.tail - self.head <= limit {
            return Ok(true);
        }
        // pairs with the Release in Consumer::take: it has read the bytes that we write next.
        let head = self.control.head.0.load(ordering(Fault::TakenSeen, Acquire));
        Corrupt::unless(head >= self.head && head <= self.tail && head.is_multiple_of(8), "taken", head, self.tail)?;
        self.head = head;
        Ok(self.tail - self.head <= limit)
    }

    /// A place for a frame of `length` bytes, at most [`Frames::longest`]; `None` if there is no room. Nothing is sent before [`Self::send`].
    #[inline]
    pub(crate) fn place(&mut self, length: u64) -> Result<Option<Place<'m>>, Corrupt> {
        debug_assert!(length <= self.frames.longest(), "the caller has checked the length");
        let to_end = self.frames.left_from(self.tail);
        if to_end < size(length) {
            if !self.has_room(to_end + size(length))? {
                return Ok(None);
            }
            self.publish(to_end, REST | (to_end - HEADER));
        } else if !self.has_room(size(length))? {
            return Ok(None);
        }
        Ok(Some(Place { words: self.frames.payload(self.tail, length), position: self.tail, length }))
    }

    /// Sends what was written into `place`, cut to its first `length` bytes.
    #[inline]
    pub(crate) fn send(&mut self, place: &Place<'m>, length: u64) {
        assert!(place.position == self.tail && length <= place.length, "a place is used once, and not beyond its end");
        self.publish(size(length), DATA | length);
    }

    #[inline]
    fn publish(&mut self, size: u64, header: u64) {
        // Relaxed is enough: the Release below carries it.
        if is_kept(Fault::NextHeader) {
            self.frames.word(self.tail + size).store(0, Relaxed);
        }
        step!("ring.next_header_zeroed");
        // pairs with the Acquire in frame_at: the frame is whole, and the next header is 0.
        self.frames.word(self.tail).store(header, ordering(Fault::Header, Release));
        step!("ring.header_stored");
        self.tail += size;
        // For the next sender and for people; it may lag.
        self.control.tail.0.store(self.tail, Relaxed);
    }
}

/// A frame in the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'m> {
    pub(crate) words: &'m [AtomicU64],
    pub(crate) length: u64,
    size: u64,
    is_data: bool,
}

/// The frame at `position`, which must end before `limit`.
#[inline]
fn frame_at(frames: Frames<'_>, position: u64, limit: u64) -> Result<Option<Frame<'_>>, Corrupt> {
    // pairs with the Release in publish.
    let header = frames.word(position).load(ordering(Fault::HeaderSeen, Acquire));
    if header == 0 {
        return Ok(None);
    }
    let (kind, length) = (header & !0xffff_ffff, header & 0xffff_ffff);
    let size = size(length);
    let fits = size <= frames.left_from(position) && position + size < limit;
    Corrupt::unless(fits && (kind == DATA || kind == REST), "header", header, position)?;
    Ok(Some(Frame { words: frames.payload(position, length), length, size, is_data: kind == DATA }))
}

/// The receiver's half.
#[derive(Debug)]
pub(crate) struct Consumer<'m> {
    control: &'m Control,
    frames: Frames<'m>,
    head: u64,
}

impl<'m> Consumer<'m> {
    /// Goes on where the receiver before left off.
    pub(crate) fn resume(control: &'m Control, frames: Frames<'m>) -> Result<Self, Corrupt> {
        // Only receivers store it, and the seat orders those.
        let head = control.head.0.load(Relaxed);
        Corrupt::unless(head <= FARTHEST && head.is_multiple_of(8), "taken", head, FARTHEST)?;
        Ok(Self { control, frames, head })
    }

    /// The next frame, which stays in the ring until [`Self::take`].
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<Option<Frame<'m>>, Corrupt> {
        loop {
            let Some(frame) = frame_at(self.frames, self.head, self.head + self.frames.capacity())? else {
                return Ok(None);
            };
            if frame.is_data {
                return Ok(Some(frame));
            }
            self.take(&frame);
        }
    }

    /// Takes the frame that [`Self::peek`] returned out of the ring.
    #[inline]
    pub(crate) fn take(&mut self, frame: &Frame<'m>) {
        self.head += frame.size;
        // pairs with the Acquire in has_room: we have read what it overwrites next.
        self.control.head.0.store(self.head, ordering(Fault::Taken, Release));
        step!("ring.frame_taken");
    }
}
