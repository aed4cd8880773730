//! Both directions of a connection, whatever its frames are, without the connection.

use std::time::Instant;

use crosstie_core::fault::{Fault, Taken};

use super::{
    bytes::{BytesIn, BytesOut, May},
    frames::{FramesIn, FramesOut, Next, Splitter},
    line::FaultLine,
    queue::{End, Pop, Queue},
};

/// The direction from the peer: bytes go in as they come, and come out when it is their time.
pub(super) struct Inbound {
    kind: In,
    queue: Queue,
    scratch: Vec<u8>,
}

enum In {
    Bytes(BytesIn),
    Frames(FramesIn),
}

/// How much is read at once.
const READ: usize = 64 * 1024;

impl Inbound {
    pub(super) fn new(line: FaultLine, split: Option<Splitter>) -> Self {
        let kind = match split {
            None => In::Bytes(BytesIn::new(line)),
            Some(split) => In::Frames(FramesIn::new(line, split)),
        };
        Self { kind, queue: Queue::default(), scratch: vec![0; READ] }
    }

    /// Where to read to.
    pub(super) fn scratch(&mut self) -> &mut [u8] {
        &mut self.scratch
    }

    /// So many bytes are in [`Self::scratch`]; none is the end.
    pub(super) fn came(&mut self, count: usize, now: Instant) {
        if count == 0 {
            return self.ended(End::Finished, now);
        }
        let bytes = &self.scratch[..count];
        match &mut self.kind {
            In::Bytes(bytes_in) => bytes_in.push(bytes, now, &mut self.queue),
            In::Frames(frames) => frames.push(bytes, now, &mut self.queue),
        }
    }

    pub(super) fn ended(&mut self, end: End, now: Instant) {
        if let In::Frames(frames) = &mut self.kind {
            frames.finish(now, &mut self.queue);
        }
        self.queue.end(end, now);
    }

    pub(super) fn pop(&mut self, buf: &mut [u8], now: Instant) -> Pop {
        self.tend(now);
        self.queue.pop(buf, now)
    }

    pub(super) const fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// When something is to be seen, if nothing comes before.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        let held = self.tend(now);
        self.queue.due().or(held)
    }

    fn tend(&mut self, now: Instant) -> Option<Instant> {
        match &mut self.kind {
            In::Bytes(_) => None,
            In::Frames(frames) => frames.tend(now, &mut self.queue),
        }
    }
}

/// The direction to the peer: it says what goes when.
pub(super) struct Outbound {
    kind: Out,
    waits: Option<Instant>,
}

enum Out {
    /// How much went that was not told yet, and what was taken where that ended.
    Bytes(BytesOut, usize, Option<Taken>),
    Frames(FramesOut),
}

impl Outbound {
    pub(super) fn new(line: FaultLine, split: Option<Splitter>) -> Self {
        let kind = match split {
            None => Out::Bytes(BytesOut::new(line), 0, None),
            Some(split) => Out::Frames(FramesOut::new(line, split)),
        };
        Self { kind, waits: None }
    }

    /// What is next of what somebody wants to write. After [`Next::Write`] it is told how much went, and asked again.
    pub(super) fn next<'a>(&'a mut self, offered: &'a [u8], now: Instant) -> Next<'a> {
        let next = match &mut self.kind {
            Out::Frames(frames) => frames.next(offered, now),
            Out::Bytes(bytes, done, cut) => match (std::mem::take(done), *cut) {
                (done, Some(taken)) => Next::Cut(taken, done),
                (0, None) if !offered.is_empty() => match bytes.may(offered.len(), now) {
                    May::Write(count) => Next::Write(&offered[..count]),
                    May::Wait(due) => Next::Wait(due),
                },
                (done, None) => Next::Done(done),
            },
        };
        self.waits = match next {
            Next::Wait(due) => Some(due),
            _ => None,
        };
        next
    }

    pub(super) fn wrote(&mut self, count: usize) {
        match &mut self.kind {
            Out::Frames(frames) => frames.wrote(count),
            Out::Bytes(bytes, done, cut) => {
                *done = count;
                *cut = bytes.wrote(count).filter(|taken| matches!(taken.fault, Fault::Cut(_)));
            }
        }
    }

    /// Until when the last [`Self::next`] said to wait.
    pub(super) const fn waits(&self) -> Option<Instant> {
        self.waits
    }

    /// What is to be written whether or not anybody writes, and when there is more of it.
    pub(super) fn owed(&mut self, now: Instant) -> (&[u8], Option<Instant>) {
        match &mut self.kind {
            Out::Bytes(..) => (&[], None),
            Out::Frames(frames) => {
                let due = frames.tend(now);
                (frames.owed(), due)
            }
        }
    }

    /// Nothing more will be written.
    pub(super) fn finish(&mut self) {
        if let Out::Frames(frames) = &mut self.kind {
            frames.finish();
        }
    }
}
