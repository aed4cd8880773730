//! Faults of a stream of frames: they are lost, doubled, overtaken, held back and cut, each as a whole.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crosstie_core::fault::{Decision, Direction, Fault, Taken};

use super::{
    line::FaultLine,
    offered::Offered,
    queue::{End, Queue},
};

/// What a stream of frames begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Too little to say.
    NeedMore,
    /// A frame of so many bytes.
    Frame {
        /// All of its bytes.
        len: usize,
        /// Its number, which the faults go by; frames without one meet none.
        number: Option<u64>,
    },
    /// Something else. No faults are made from here on.
    Unknown,
}

/// Says what some bytes begin with.
pub type Splitter = Arc<dyn Fn(&[u8]) -> Split + Send + Sync>;

/// How much goes in one write at most, unless a frame is longer.
const WRITE: usize = 64 * 1024;

/// A frame that waits to be overtaken.
struct Held {
    number: u64,
    bytes: Vec<u8>,
    dup: bool,
    until: Instant,
}

/// What both directions have in common.
struct Frames {
    line: FaultLine,
    direction: Direction,
    split: Splitter,
    held: Option<Held>,
    is_opaque: bool,
}

impl Frames {
    fn new(line: FaultLine, direction: Direction, split: Splitter) -> Self {
        Self { line, direction, split, held: None, is_opaque: false }
    }

    fn note(&self, number: u64, fault: Fault) -> Taken {
        self.line.note(self.direction, number, fault)
    }

    /// What stands at the beginning, whole; `None` if it is not there yet.
    fn first(&mut self, bytes: &[u8]) -> Option<(usize, Option<u64>)> {
        if self.is_opaque {
            return (!bytes.is_empty()).then_some((bytes.len(), None));
        }
        match (self.split)(bytes) {
            Split::Frame { len, number } if len <= bytes.len() && len > 0 => Some((len, number)),
            Split::Frame { len, .. } if len > 0 => None,
            Split::NeedMore => None,
            Split::Frame { .. } | Split::Unknown => {
                self.is_opaque = true;
                self.first(bytes)
            }
        }
    }

    fn decide(&self, number: Option<u64>, len: usize) -> Decision {
        number.map_or_else(Decision::default, |number| self.line.decide(self.direction, number, len))
    }

    /// Lets a frame through, or keeps it: what goes on now, in order.
    fn pass(&mut self, frame: &[u8], number: Option<u64>, decision: Decision, now: Instant, mut go: impl FnMut(&[u8])) {
        let Some(number) = number else {
            // Nothing overtakes what a stream says of itself.
            if let Some(held) = self.held.take() {
                self.give_up(&held, &mut go);
            }
            return go(frame);
        };
        if decision.drop {
            self.note(number, Fault::Drop);
            return;
        }
        if decision.reorder && self.held.is_none() {
            let until = now + self.line.hold();
            self.held = Some(Held { number, bytes: frame.to_vec(), dup: decision.dup, until });
            return;
        }
        self.copies(number, frame, decision.dup, &mut go);
        if let Some(held) = self.held.take() {
            self.note(held.number, Fault::Reorder);
            self.copies(held.number, &held.bytes, held.dup, &mut go);
        }
    }

    fn copies(&self, number: u64, frame: &[u8], dup: bool, go: &mut impl FnMut(&[u8])) {
        go(frame);
        if dup {
            self.note(number, Fault::Dup);
            go(frame);
        }
    }

    /// Nothing has overtaken it, so no fault was taken.
    fn give_up(&self, held: &Held, go: &mut impl FnMut(&[u8])) {
        self.copies(held.number, &held.bytes, held.dup, go);
    }

    fn expired(&mut self, now: Instant) -> Option<Held> {
        self.held.take_if(|held| held.until <= now)
    }
}

/// The direction from the peer.
pub(super) struct FramesIn {
    frames: Frames,
    raw: Vec<u8>,
}

impl FramesIn {
    pub(super) fn new(line: FaultLine, split: Splitter) -> Self {
        Self { frames: Frames::new(line, Direction::In, split), raw: Vec::new() }
    }

    /// Sorts what has come into the queue.
    pub(super) fn push(&mut self, bytes: &[u8], now: Instant, queue: &mut Queue) {
        self.raw.extend_from_slice(bytes);
        let raw = std::mem::take(&mut self.raw);
        let mut start = 0;
        while let Some((len, number)) = self.frames.first(&raw[start..]) {
            let frame = &raw[start..start + len];
            start += len;
            let decision = self.frames.decide(number, len);
            if let (Some(at), Some(number)) = (decision.cut, number) {
                let taken = self.frames.note(number, Fault::Cut(at));
                queue.push(frame[..len.min(at as usize)].to_vec(), now, true);
                queue.end(End::Cut(taken), now);
                return;
            }
            let mut due = now;
            if let (Some(delay), Some(number), false) = (decision.delay, number, decision.drop) {
                self.frames.note(number, Fault::Delay(delay));
                due = now + delay;
            }
            self.frames.pass(frame, number, decision, now, |bytes| queue.push(bytes.to_vec(), due, false));
        }
        self.raw = raw;
        self.raw.drain(..start);
    }

    /// Lets go of what nothing will overtake any more.
    pub(super) fn finish(&mut self, now: Instant, queue: &mut Queue) {
        if let Some(held) = self.frames.held.take() {
            self.frames.give_up(&held, &mut |bytes| queue.push(bytes.to_vec(), now, false));
        }
        if !self.raw.is_empty() {
            queue.push(std::mem::take(&mut self.raw), now, false);
        }
    }

    /// Lets go of what has waited long enough; until when the next waits.
    pub(super) fn tend(&mut self, now: Instant, queue: &mut Queue) -> Option<Instant> {
        if let Some(held) = self.frames.expired(now) {
            self.frames.give_up(&held, &mut |bytes| queue.push(bytes.to_vec(), now, false));
        }
        self.frames.held.as_ref().map(|held| held.until)
    }
}

/// The direction to the peer. Whoever writes offers whole frames, and the same again after what it was told to wait for.
pub(super) struct FramesOut {
    frames: Frames,
    offered: Offered,
    owed: Vec<u8>,
    /// How much of what is owed went.
    went: usize,
    /// How many of the offered bytes that settles.
    settles: usize,
    cut: Option<Taken>,
    delayed: u64,
}

/// What comes next.
pub(super) enum Next<'a> {
    /// These bytes go now.
    Write(&'a [u8]),
    /// Nothing goes before that.
    Wait(Instant),
    /// So many of the offered bytes are done with.
    Done(usize),
    /// The connection ends here; so many of the offered bytes are done with.
    Cut(Taken, usize),
}

impl FramesOut {
    pub(super) fn new(line: FaultLine, split: Splitter) -> Self {
        let frames = Frames::new(line, Direction::Out, split);
        let offered = Offered::new();
        Self { frames, offered, owed: Vec::new(), went: 0, settles: 0, cut: None, delayed: 0 }
    }

    pub(super) fn next(&mut self, offered: &[u8], now: Instant) -> Next<'_> {
        let is_free = self.went == self.owed.len() && self.settles == 0 && self.cut.is_none();
        if is_free && let Some(wait) = self.prepare(offered, now) {
            return Next::Wait(wait);
        }
        if self.went < self.owed.len() {
            return Next::Write(&self.owed[self.went..]);
        }
        if let Some(taken) = self.cut {
            return Next::Cut(taken, 0);
        }
        let settled = std::mem::take(&mut self.settles).min(offered.len());
        self.offered.went(settled);
        Next::Done(settled)
    }

    pub(super) fn wrote(&mut self, count: usize) {
        self.went += count;
        if self.went == self.owed.len() {
            self.owed.clear();
            self.went = 0;
        }
    }

    /// Works out what is owed for the frames that are offered; until when the first has to wait, if it has.
    fn prepare(&mut self, offered: &[u8], now: Instant) -> Option<Instant> {
        let since = self.offered.since(offered.len(), now);
        let mut start = 0;
        while start < offered.len() && self.owed.len() < WRITE {
            // A frame that is not whole is none of ours.
            let rest = &offered[start..];
            let (len, number) = self.frames.first(rest).unwrap_or((rest.len(), None));
            let frame = &rest[..len];
            let decision = self.frames.decide(number, len);
            if let (Some(at), Some(number)) = (decision.cut, number) {
                self.cut = Some(self.frames.note(number, Fault::Cut(at)));
                self.owed.extend_from_slice(&frame[..len.min(at as usize)]);
                break;
            }
            if let (Some(delay), Some(number), false) = (decision.delay, number, decision.drop)
                && self.delayed != number
            {
                // What waits behind it is looked at again when it has gone.
                if start > 0 {
                    break;
                }
                let due = since + delay;
                if due > now {
                    return Some(due);
                }
                self.delayed = number;
                self.frames.note(number, Fault::Delay(delay));
            }
            let owed = &mut self.owed;
            self.frames.pass(frame, number, decision, now, |bytes| owed.extend_from_slice(bytes));
            start += len;
            self.settles = start;
        }
        None
    }

    /// Puts what has waited long enough among what is owed; until when the next waits.
    pub(super) fn tend(&mut self, now: Instant) -> Option<Instant> {
        if let Some(held) = self.frames.expired(now) {
            let owed = &mut self.owed;
            self.frames.give_up(&held, &mut |bytes| owed.extend_from_slice(bytes));
        }
        self.frames.held.as_ref().map(|held| held.until)
    }

    /// Puts what nothing will overtake any more among what is owed.
    pub(super) fn finish(&mut self) {
        if let Some(held) = self.frames.held.take() {
            let owed = &mut self.owed;
            self.frames.give_up(&held, &mut |bytes| owed.extend_from_slice(bytes));
        }
    }

    /// What is owed and does not wait for anything.
    pub(super) fn owed(&self) -> &[u8] {
        &self.owed[self.went..]
    }
}

/// How long a frame waits to be overtaken, unless the program says otherwise.
pub(super) const HOLD: Duration = Duration::from_secs(1);
