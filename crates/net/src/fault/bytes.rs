//! Faults of a bare stream of bytes: it is held back, comes in shorter pieces, and is cut.
//!
//! A frame is a block of [`BLOCK`] bytes, so that decisions depend on where a byte stands and not on how reads and writes happen to fall.

use std::time::Instant;

use crosstie_core::fault::{Decision, Direction, Fault, Taken};

use super::{
    line::FaultLine,
    offered::Offered,
    queue::{End, Queue},
};

/// Bytes of a frame of a bare stream.
pub(super) const BLOCK: u64 = 4096;
/// How many blocks without a fault go in one write at most.
const RUN: u64 = 64;

/// Where a direction is, and what meets it there.
struct Position {
    line: FaultLine,
    direction: Direction,
    at: u64,
    /// The block whose delay is over.
    held: u64,
}

impl Position {
    const fn new(line: FaultLine, direction: Direction) -> Self {
        Self { line, direction, at: 0, held: 0 }
    }

    /// The block's number, from 1, and how far in it we are.
    const fn place(&self) -> (u64, u64) {
        (self.at / BLOCK + 1, self.at % BLOCK)
    }

    fn decision(&self, block: u64) -> Decision {
        self.line.decide(self.direction, block, BLOCK as usize)
    }

    /// The delay that comes before the next byte.
    fn delay(&self) -> Option<std::time::Duration> {
        let (block, into) = self.place();
        if into == 0 && self.held < block { self.decision(block).delay } else { None }
    }

    /// Says that the delay before the next byte is over.
    fn was_held(&mut self) {
        if let Some(delay) = self.delay() {
            let (block, _) = self.place();
            self.held = block;
            self.line.note(self.direction, block, Fault::Delay(delay));
        }
    }

    /// How many bytes go on undisturbed from here.
    fn run(&self) -> u64 {
        let (block, into) = self.place();
        let decision = self.decision(block);
        let stops = [decision.cut, decision.short].into_iter().flatten().map(u64::from);
        if let Some(stop) = stops.filter(|stop| *stop > into).min() {
            return stop - into;
        }
        let mut run = BLOCK - into;
        for next in block + 1..block + RUN {
            if !self.decision(next).is_none() {
                break;
            }
            run += BLOCK;
        }
        run
    }

    /// Goes on by so many bytes, no more than [`Self::run`]; what was taken at the place where that ends.
    fn advance(&mut self, count: u64) -> Option<Taken> {
        self.at += count;
        let (block, into) = self.place();
        let decision = self.decision(block);
        if into == 0 || count == 0 {
            return None;
        }
        let is_here = |stop: Option<u32>| stop.map(u64::from) == Some(into);
        if is_here(decision.cut) {
            let fault = Fault::Cut(into as u32);
            return Some(self.line.note(self.direction, block, fault));
        }
        is_here(decision.short).then(|| self.line.note(self.direction, block, Fault::Short(into as u32)))
    }
}

/// The direction from the peer.
pub(super) struct BytesIn {
    position: Position,
}

impl BytesIn {
    pub(super) const fn new(line: FaultLine) -> Self {
        Self { position: Position::new(line, Direction::In) }
    }

    /// Sorts what has come into the queue.
    pub(super) fn push(&mut self, mut bytes: &[u8], now: Instant, queue: &mut Queue) {
        while !bytes.is_empty() {
            let due = self.position.delay().map_or(now, |delay| now + delay);
            self.position.was_held();
            let count = usize::try_from(self.position.run()).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at(count);
            let taken = self.position.advance(count as u64);
            queue.push(piece.to_vec(), due, taken.is_some());
            if let Some(taken) = taken
                && let Fault::Cut(_) = taken.fault
            {
                queue.end(End::Cut(taken), due);
                return;
            }
            bytes = rest;
        }
    }
}

/// The direction to the peer.
pub(super) struct BytesOut {
    position: Position,
    offered: Offered,
}

/// What may be written now.
pub(super) enum May {
    /// At most so many bytes.
    Write(usize),
    /// Nothing until then.
    Wait(Instant),
}

impl BytesOut {
    pub(super) const fn new(line: FaultLine) -> Self {
        Self { position: Position::new(line, Direction::Out), offered: Offered::new() }
    }

    /// What may be written of `len` bytes that somebody wants to write.
    pub(super) fn may(&mut self, len: usize, now: Instant) -> May {
        let since = self.offered.since(len, now);
        if let Some(delay) = self.position.delay() {
            let due = since + delay;
            if due > now {
                return May::Wait(due);
            }
        }
        May::Write(usize::try_from(self.position.run()).unwrap_or(usize::MAX).min(len))
    }

    /// Says that so many went. What comes back was taken where that ends: after a cut nothing goes any more.
    pub(super) fn wrote(&mut self, count: usize) -> Option<Taken> {
        if count == 0 {
            return None;
        }
        self.position.was_held();
        self.offered.went(count);
        self.position.advance(count as u64)
    }
}
