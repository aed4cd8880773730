//! Datagrams that are lost, doubled, overtaken and held back on purpose, whatever carries them.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crosstie_core::{
    Error, Kind,
    fault::{Direction, Fault},
};
use crosstie_sys::Interest;

use super::{
    alarm::Alarm,
    carrier::{Carrier, Received, Way, cut, full},
};
use crate::fault::FaultLine;

/// How many bytes of what came are held back before no more are taken.
const ROOM: usize = 1 << 20;

/// A carrier between which and its user faults are made. Nothing runs in the background.
pub(super) struct Faulty {
    inner: Box<dyn Carrier>,
    line: FaultLine,
    out: Mutex<Out>,
    into: Mutex<Into>,
    /// What the two ways wait for, under numbers that stay.
    ready: [OwnedFd; 2],
}

struct Out {
    alarm: Alarm,
    sent: u64,
    /// Since when the next one waits for its delay, and until when if that is not over.
    since: Option<Instant>,
    waits: Option<Instant>,
    held: Option<(u64, Vec<Letter>, Instant)>,
    /// Copies for which there was no room.
    owed: VecDeque<Letter>,
}

type Letter = Vec<u8>;

struct Into {
    alarm: Alarm,
    came: u64,
    scratch: Vec<u8>,
    /// Those that are to be received, in order.
    queue: VecDeque<Came>,
    bytes: usize,
    held: Option<(u64, Came, Instant)>,
}

#[derive(Clone)]
struct Came {
    bytes: Letter,
    received: Received,
    due: Instant,
    dup: bool,
}

impl Faulty {
    pub(super) fn new(inner: Box<dyn Carrier>, line: FaultLine) -> Result<Self, Error> {
        let out = Alarm::new(inner.ready(Way::Out))?;
        let into = Alarm::new(inner.ready(Way::In))?;
        let ready = [out.as_fd().try_clone_to_owned()?, into.as_fd().try_clone_to_owned()?];
        let out = Out { alarm: out, sent: 0, since: None, waits: None, held: None, owed: VecDeque::new() };
        let scratch = vec![0; inner.max_len().max(LONGEST)];
        let into = Into { alarm: into, came: 0, scratch, queue: VecDeque::new(), bytes: 0, held: None };
        Ok(Self { inner, line, out: Mutex::new(out), into: Mutex::new(into), ready })
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends copies for which there was no room before.
    fn settle(&self, out: &mut Out) -> Result<(), Error> {
        while let Some(letter) = out.owed.front() {
            match self.inner.try_send(letter) {
                Err(error) if error.kind() == Kind::Full => return Err(error),
                // What becomes of a copy is nobody's business.
                _ => out.owed.pop_front(),
            };
        }
        Ok(())
    }

    fn send(&self, out: &mut Out, bytes: &[u8], now: Instant) -> Result<(), Error> {
        if let Some((_, letters, _)) = out.held.take_if(|(_, _, until)| *until <= now) {
            out.owed.extend(letters);
        }
        self.settle(out)?;
        let number = out.sent + 1;
        let decision = self.line.decide(Direction::Out, number, bytes.len());
        let note = |number, fault| {
            self.line.note(Direction::Out, number, fault);
        };
        if decision.drop {
            out.sent = number;
            note(number, Fault::Drop);
            return Ok(());
        }
        if let Some(delay) = decision.delay {
            let due = *out.since.get_or_insert(now) + delay;
            if due > now {
                out.waits = Some(due);
                return Err(full());
            }
        }
        let is_held = decision.reorder && out.held.is_none();
        if is_held {
            let letters = vec![bytes.to_vec(); 1 + usize::from(decision.dup)];
            out.held = Some((number, letters, now + self.line.hold()));
        } else {
            self.inner.try_send(bytes)?;
            if decision.dup {
                out.owed.push_back(bytes.to_vec());
            }
            if let Some((held, letters, _)) = out.held.take() {
                note(held, Fault::Reorder);
                out.owed.extend(letters);
            }
        }
        (out.sent, out.since) = (number, None);
        if let Some(delay) = decision.delay {
            note(number, Fault::Delay(delay));
        }
        if decision.dup {
            note(number, Fault::Dup);
        }
        // It was taken; what does not go now goes with the next.
        let _ = self.settle(out);
        Ok(())
    }

    fn receive(&self, into: &mut Into, now: Instant) -> Result<Option<Came>, Error> {
        loop {
            if let Some((_, held, _)) = into.held.take_if(|(_, _, until)| *until <= now) {
                into.push(held);
            }
            if into.queue.front().is_some_and(|came| came.due <= now) {
                return Ok(into.pop());
            }
            if into.bytes >= ROOM {
                return Ok(None);
            }
            let Some(received) = self.inner.try_receive(&mut into.scratch)? else { return Ok(None) };
            into.came += 1;
            let number = into.came;
            let decision = self.line.decide(Direction::In, number, received.len);
            let note = |number, fault| {
                self.line.note(Direction::In, number, fault);
            };
            if decision.drop {
                note(number, Fault::Drop);
                continue;
            }
            if let Some(delay) = decision.delay {
                note(number, Fault::Delay(delay));
            }
            if decision.dup {
                note(number, Fault::Dup);
            }
            let due = decision.delay.map_or(now, |delay| now + delay);
            let came = Came { bytes: into.scratch[..received.len].to_vec(), received, due, dup: decision.dup };
            if decision.reorder && into.held.is_none() {
                into.held = Some((number, came, now + self.line.hold()));
                continue;
            }
            into.push(came);
            if let Some((held, came, _)) = into.held.take() {
                note(held, Fault::Reorder);
                into.push(came);
            }
        }
    }
}

/// The longest datagram of all schemes, so that none is too long for the faults before it is for its receiver.
const LONGEST: usize = 256 * 1024;

impl Into {
    /// Whatever comes first keeps those after it behind it.
    fn push(&mut self, mut came: Came) {
        came.due = self.queue.back().map_or(came.due, |last| last.due.max(came.due));
        let copies = 1 + usize::from(came.dup);
        self.bytes += came.bytes.len() * copies;
        self.queue.extend(std::iter::repeat_n(came, copies));
    }

    fn pop(&mut self) -> Option<Came> {
        let came = self.queue.pop_front()?;
        self.bytes -= came.bytes.len();
        Some(came)
    }
}

impl Carrier for Faulty {
    fn max_len(&self) -> usize {
        self.inner.max_len()
    }

    fn try_send(&self, bytes: &[u8]) -> Result<(), Error> {
        let (mut out, now) = (self.out(), Instant::now());
        out.waits = None;
        let sent = self.send(&mut out, bytes, now);
        // It waits for a time or for room.
        let waits = out.waits;
        out.alarm.set(waits.is_none(), waits, now)?;
        sent
    }

    fn try_receive(&self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        let mut into = self.into.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(came) = self.receive(&mut into, now)? {
            let len = came.bytes.len();
            if len > buf.len() {
                return Err(cut(len, buf.len()));
            }
            buf[..len].copy_from_slice(&came.bytes);
            return Ok(Some(came.received));
        }
        let held = into.held.as_ref().map(|(_, _, until)| *until);
        let due = [into.queue.front().map(|came| came.due), held].into_iter().flatten().min();
        let has_room = into.bytes < ROOM;
        into.alarm.set(has_room, due, now)?;
        Ok(None)
    }

    fn ready(&self, way: Way) -> (BorrowedFd<'_>, Interest) {
        let [out, into] = &self.ready;
        (if way == Way::Out { out.as_fd() } else { into.as_fd() }, Interest::Read)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        let mut out = self.out();
        if let Some((_, letters, _)) = out.held.take() {
            out.owed.extend(letters);
        }
        // Who does not wait for it has no more room than there is.
        let _ = self.settle(&mut out);
    }
}
