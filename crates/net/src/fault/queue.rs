//! What has come and is held back until its time.

use std::{collections::VecDeque, io, time::Instant};

use crosstie_core::fault::Taken;

/// How many bytes are held before no more are read.
const ROOM: usize = 256 * 1024;

/// How a direction ended.
#[derive(Debug)]
pub(super) enum End {
    /// The peer has ended it.
    Finished,
    /// It was cut on purpose.
    Cut(Taken),
    /// The connection failed.
    Failed(io::Error),
}

/// What a look at the queue gave.
#[derive(Debug)]
pub(super) enum Pop {
    /// So many bytes.
    Read(usize),
    /// Something is there, but its time has not come.
    Wait,
    /// Nothing is there.
    Empty,
    /// Nothing more will be. A failure is told once; after it this is the end.
    Ended(End),
}

/// Bytes in order, each piece with the time before which it is not to be seen.
#[derive(Default)]
pub(super) struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
    last_due: Option<Instant>,
    end: Option<(End, Instant)>,
}

struct Piece {
    bytes: Vec<u8>,
    taken: usize,
    due: Instant,
    /// A read ends here, whatever comes next.
    stops: bool,
}

impl Queue {
    /// Puts bytes at the end, due at `due` or when what is before them is.
    pub(super) fn push(&mut self, bytes: Vec<u8>, due: Instant, stops: bool) {
        let due = self.no_earlier(due);
        self.bytes += bytes.len();
        self.pieces.push_back(Piece { bytes, taken: 0, due, stops });
    }

    /// Nothing comes after that.
    pub(super) fn end(&mut self, end: End, now: Instant) {
        if self.end.is_none() {
            self.end = Some((end, self.no_earlier(now)));
        }
    }

    fn no_earlier(&mut self, due: Instant) -> Instant {
        let due = self.last_due.map_or(due, |last| last.max(due));
        self.last_due = Some(due);
        due
    }

    /// True if more is to be read.
    pub(super) const fn has_room(&self) -> bool {
        self.end.is_none() && self.bytes < ROOM
    }

    /// When something is to be seen.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pieces.front().map(|piece| piece.due).or_else(|| self.end.as_ref().map(|(_, due)| *due))
    }

    /// Takes what is due.
    pub(super) fn pop(&mut self, buf: &mut [u8], now: Instant) -> Pop {
        let mut count = 0;
        while let Some(piece) = self.pieces.front_mut() {
            if piece.due > now {
                return if count > 0 { Pop::Read(count) } else { Pop::Wait };
            }
            let left = &piece.bytes[piece.taken..];
            let fits = left.len().min(buf.len() - count);
            buf[count..count + fits].copy_from_slice(&left[..fits]);
            (count, piece.taken, self.bytes) = (count + fits, piece.taken + fits, self.bytes - fits);
            if piece.taken < piece.bytes.len() {
                return Pop::Read(count);
            }
            let stops = piece.stops;
            self.pieces.pop_front();
            if stops && count > 0 {
                return Pop::Read(count);
            }
        }
        match &self.end {
            _ if count > 0 => Pop::Read(count),
            None => Pop::Empty,
            Some((_, due)) if *due > now => Pop::Wait,
            Some((End::Finished, _)) => Pop::Ended(End::Finished),
            Some((End::Cut(taken), _)) => Pop::Ended(End::Cut(*taken)),
            Some((End::Failed(_), _)) => {
                let Some((end, due)) = self.end.take() else { unreachable!("it was just looked at") };
                self.end = Some((End::Finished, due));
                Pop::Ended(end)
            }
        }
    }
}
