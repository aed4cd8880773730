//! What waits to be written to one client.
//!
//! Any reactor may append, and the one that did writes at the end of its read, so a message goes from one socket to the
//! other without a change of thread. The lock is held to append and to take a batch, never while writing: `writing` says
//! that somebody is at it, and whoever is takes along what came meanwhile. So frames leave in the order they were appended.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::Bytes;
use crosstie_core::{ByteTransport, Mono};

use super::lock::lock;

/// The most slices handed to one write; the kernel takes 1024.
const MAX_SLICES: usize = 256;
/// A buffer that grew beyond this is given back to the allocator instead of being kept for the next batch.
const MAX_SPARE: usize = 1024 * 1024;

/// A batch that waits takes no more frames from this size on, so that what is written of a long queue is given back bit by bit.
const MAX_BATCH: usize = MAX_SPARE;

/// Frames in order: bytes copied together, with shared payloads between them.
#[derive(Default)]
pub(super) struct Batch {
    copied: Vec<u8>,
    /// Each shared payload, and the offset in `copied` before which it stands.
    shared: Vec<(usize, Bytes)>,
    /// Written so far: position in `copied`, index into `shared`, and position in that payload.
    at: usize,
    next: usize,
    within: usize,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.at == self.copied.len() && self.next == self.shared.len()
    }

    /// What its buffer takes up beyond what is to be written of it.
    fn slack(&self) -> usize {
        self.copied.capacity() - (self.copied.len() - self.at)
    }

    fn slices<'a>(&'a self, out: &mut Vec<IoSlice<'a>>) {
        let (mut at, mut within) = (self.at, self.within);
        for (cut, payload) in &self.shared[self.next..] {
            if out.len() + 2 >= MAX_SLICES {
                return;
            }
            if at < *cut {
                out.push(IoSlice::new(&self.copied[at..*cut]));
            }
            out.push(IoSlice::new(&payload[within..]));
            (at, within) = (*cut, 0);
        }
        if at < self.copied.len() {
            out.push(IoSlice::new(&self.copied[at..]));
        }
    }

    fn advance(&mut self, mut written: usize) {
        while let Some((cut, payload)) = self.shared.get_mut(self.next) {
            let copied = *cut - self.at;
            if written < copied {
                self.at += written;
                return;
            }
            written -= copied;
            self.at = *cut;
            let rest = payload.len() - self.within;
            if written < rest {
                self.within += written;
                return;
            }
            written -= rest;
            *payload = Bytes::new();
            self.next += 1;
            self.within = 0;
        }
        self.at += written;
    }

    /// Writes until all is gone or `transport` takes no more; says how many bytes went.
    fn write_to(&mut self, transport: &dyn ByteTransport) -> (usize, io::Result<()>) {
        let mut total = 0;
        while !self.is_empty() {
            let result = if self.shared.is_empty() {
                transport.try_write(&[IoSlice::new(&self.copied[self.at..])])
            } else {
                let mut slices = Vec::with_capacity(8);
                self.slices(&mut slices);
                transport.try_write(&slices)
            };
            match result {
                Ok(0) => return (total, Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    total += written;
                    self.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (total, Err(error)),
            }
        }
        (total, Ok(()))
    }

    /// Puts `other`, nothing of which is written, behind what is there; gives back what was its buffer.
    fn append(&mut self, mut other: Self) -> Self {
        let start = self.copied.len();
        self.copied.extend_from_slice(&other.copied);
        self.shared.extend(other.shared.drain(..).map(|(cut, payload)| (start + cut, payload)));
        other
    }

    fn recycle(mut self) -> Option<Vec<u8>> {
        self.copied.clear();
        (self.copied.capacity() <= MAX_SPARE && self.copied.capacity() > 0).then_some(self.copied)
    }
}

/// Buffers that are empty now and save the next batch an allocation. Each reactor has its own.
#[derive(Default)]
pub(super) struct Spares {
    /// Bytes written by whoever has these, since somebody looked.
    pub(super) written: usize,
    buffers: Vec<Vec<u8>>,
    /// What they take up together.
    bytes: usize,
}

impl Spares {
    const MAX: usize = 32;
    const MAX_BYTES: usize = 4 * MAX_SPARE;

    fn give(&mut self, batch: Batch) {
        let Some(buffer) = batch.recycle() else { return };
        if self.buffers.len() < Self::MAX && self.bytes + buffer.capacity() <= Self::MAX_BYTES {
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }

    fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }
}

/// Frames that one reactor has for one client, in order.
#[derive(Default)]
pub(super) struct Load {
    batch: Batch,
    pub(super) size: usize,
    /// Messages among the frames, and their payload bytes.
    msgs: u64,
    bytes: u64,
}

impl Load {
    /// Takes a buffer for the frames to come.
    pub(super) fn begin(&mut self, spares: &mut Spares) {
        if self.batch.copied.capacity() == 0 {
            self.batch.copied = spares.take();
        }
    }

    /// Adds one message, and says how many bytes its frame has: those of `parts`, then, if there is one, `shared` and CRLF.
    #[inline]
    pub(super) fn add<const N: usize>(&mut self, parts: &[&[u8]; N], shared: Option<Bytes>, payload: usize) -> usize {
        let copied = &mut self.batch.copied;
        let before = copied.len();
        for part in parts {
            copied.extend_from_slice(part);
        }
        let mut size = copied.len() - before;
        if let Some(shared) = shared {
            size += shared.len() + 2;
            self.batch.shared.push((copied.len(), shared));
            copied.extend_from_slice(b"\r\n");
        }
        self.size += size;
        self.msgs += 1;
        self.bytes += payload as u64;
        size
    }
}

/// What waits for one client, and how it fares.
#[derive(Default)]
pub(super) struct Outbox {
    /// Written in part when the transport took no more.
    front: Option<Batch>,
    /// Full batches behind it, and what their buffers take up beyond them.
    queue: VecDeque<Batch>,
    queue_slack: usize,
    /// What is left of them once it is closed.
    remains: VecDeque<Batch>,
    pending: Batch,
    /// Bytes in all of them and in a batch being written.
    held: usize,
    /// Somebody will flush what is pending, or note that it waits: no need to ask again.
    dirty: bool,
    writing: bool,
    /// The transport took no more; it will say when it does.
    blocked: bool,
    /// When the transport last took something, or began to wait.
    progress: Mono,
    closed: bool,
    pub(super) msgs: u64,
    pub(super) bytes: u64,
    /// Messages that waited when the client was cut off, in the end.
    queued_msgs: u64,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// It waits, and somebody is already going to flush.
    Queued,
    /// It waits, and the caller has to see to it that it is flushed.
    Flush,
    /// It would exceed the limit: the client is too slow.
    Overflow,
    /// The connection is closed; the frame is dropped.
    Closed,
}

/// What became of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// All is written, or somebody else is writing.
    Done,
    /// The transport takes no more: wait until it is writable.
    Blocked,
    /// The connection is lost.
    Failed,
}

impl Outbox {
    /// Appends protocol text.
    pub(super) fn append(&mut self, limit: usize, spares: &mut Spares, text: &[u8]) -> Appended {
        if self.closed {
            return Appended::Closed;
        }
        if self.held + text.len() > limit {
            return Appended::Overflow;
        }
        self.queue_full_batch();
        let buffer = &mut self.pending.copied;
        if buffer.capacity() == 0 && !self.blocked {
            *buffer = spares.take();
        }
        buffer.extend_from_slice(text);
        self.held += text.len();
        self.mark()
    }

    /// Appends messages: all of them, or none.
    pub(super) fn accept(&mut self, limit: usize, spares: &mut Spares, load: Load) -> Appended {
        let appended = if self.closed {
            Appended::Closed
        } else if self.held + load.size > limit {
            // Nobody will send them, but they are among what is lost.
            self.queued_msgs += load.msgs;
            Appended::Overflow
        } else {
            self.held += load.size;
            self.msgs += load.msgs;
            self.bytes += load.bytes;
            if self.blocked {
                self.queued_msgs += load.msgs;
            }
            self.mark()
        };
        self.queue_full_batch();
        // A client that takes nothing is to keep no large buffer for a little.
        let is_tight = !self.blocked || load.batch.slack() <= load.size;
        if matches!(appended, Appended::Closed | Appended::Overflow) {
            spares.give(load.batch);
        } else if self.pending.is_empty() && is_tight {
            spares.give(std::mem::replace(&mut self.pending, load.batch));
        } else {
            spares.give(self.pending.append(load.batch));
        }
        appended
    }

    fn queue_full_batch(&mut self) {
        if self.pending.copied.len() >= MAX_BATCH {
            self.queue_slack += self.pending.slack();
            self.queue.push_back(std::mem::take(&mut self.pending));
        }
    }

    fn mark(&mut self) -> Appended {
        // A blocked one is flushed in vain, but so that what waits for it is added to what waits for all.
        if std::mem::replace(&mut self.dirty, true) { Appended::Queued } else { Appended::Flush }
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// The memory that it takes up, apart from a batch being written.
    pub(super) fn memory(&self) -> usize {
        self.held + self.front.as_ref().map_or(0, Batch::slack) + self.queue_slack + self.pending.slack()
    }

    /// The batch to be written next.
    fn next_batch(&mut self) -> Batch {
        let Some(batch) = self.queue.pop_front() else { return std::mem::take(&mut self.pending) };
        self.queue_slack -= batch.slack();
        batch
    }

    pub(super) const fn queued_msgs(&self) -> u64 {
        self.queued_msgs
    }

    /// Since when the transport has taken nothing although something waits.
    pub(super) fn stuck_since(&self) -> Option<Mono> {
        self.blocked.then_some(self.progress)
    }

    /// What waited when it was closed, megabytes of memory perhaps, to be freed bit by bit.
    pub(super) fn take_remains(&mut self) -> VecDeque<Batch> {
        std::mem::take(&mut self.remains)
    }

    /// Takes nothing more and forgets what waits. True if it was open.
    pub(super) fn close(&mut self) -> bool {
        self.front = None;
        self.remains.append(&mut self.queue);
        self.queue_slack = 0;
        self.pending = Batch::default();
        self.held = 0;
        !std::mem::replace(&mut self.closed, true)
    }
}

/// Writes what waits in `outbox`, without holding its lock meanwhile. `writable` says that the transport announced it.
pub(super) fn flush(
    outbox: &std::sync::Mutex<Outbox>,
    transport: &dyn ByteTransport,
    spares: &mut Spares,
    writable: bool,
    now: Mono,
) -> Flushed {
    let mut batch = {
        let mut outbox = lock(outbox);
        outbox.dirty = false;
        if writable {
            outbox.blocked = false;
        }
        if outbox.closed || outbox.writing || outbox.blocked {
            return Flushed::Done;
        }
        let front = outbox.front.take();
        let is_new = front.is_none();
        let batch = front.unwrap_or_else(|| outbox.next_batch());
        if batch.is_empty() {
            return Flushed::Done;
        }
        if is_new {
            // It waits from now on, however long nothing was there to wait for.
            outbox.progress = now;
        }
        outbox.writing = true;
        batch
    };
    loop {
        let (written, result) = batch.write_to(transport);
        spares.written += written;
        let mut outbox = lock(outbox);
        outbox.held = outbox.held.saturating_sub(written);
        if written > 0 || result.is_ok() {
            outbox.progress = now;
        }
        match result {
            Ok(()) => {
                let pending = outbox.next_batch();
                outbox.writing = !pending.is_empty();
                let finished = !outbox.writing;
                if finished {
                    outbox.queued_msgs = 0;
                }
                drop(outbox);
                spares.give(std::mem::replace(&mut batch, pending));
                if finished {
                    return Flushed::Done;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if outbox.closed {
                    return Flushed::Failed;
                }
                if batch.slack() > batch.copied.len() {
                    batch.copied.shrink_to_fit();
                }
                outbox.front = Some(batch);
                outbox.writing = false;
                outbox.blocked = true;
                return Flushed::Blocked;
            }
            Err(_) => {
                outbox.writing = false;
                outbox.close();
                return Flushed::Failed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes `room` bytes, then blocks.
    struct Narrow {
        room: Mutex<usize>,
        got: Mutex<Vec<u8>>,
    }

    impl ByteTransport for Narrow {
        fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let mut room = self.room.lock().unwrap();
            if *room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let taken = all.len().min(*room);
            *room -= taken;
            self.got.lock().unwrap().extend_from_slice(&all[..taken]);
            Ok(taken)
        }

        fn shutdown(&self) {}
    }

    fn filled() -> Outbox {
        let (mut outbox, mut spares) = (Outbox::default(), Spares::default());
        let shared = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let mut first = Load::default();
        first.begin(&mut spares);
        first.add(&[b"a"], shared("SHARED"), 6);
        first.add(&[b"b", b"c"], shared("other"), 5);
        let mut second = Load::default();
        second.add(&[b"d"], None, 1);
        second.add(&[], shared("x"), 1);
        outbox.append(1000, &mut spares, b"begin");
        outbox.accept(1000, &mut spares, first);
        outbox.accept(1000, &mut spares, second);
        outbox.append(1000, &mut spares, b"end");
        outbox
    }

    #[test]
    fn however_little_is_taken_at_a_time_the_order_holds() {
        for step in 1..20 {
            let transport = Narrow { room: Mutex::new(step), got: Mutex::default() };
            let outbox = Mutex::new(filled());
            let mut spares = Spares::default();
            let mut writable = false;
            while flush(&outbox, &transport, &mut spares, writable, Mono::from_nanos(1)) == Flushed::Blocked {
                *transport.room.lock().unwrap() = step;
                writable = true;
            }
            assert_eq!(*transport.got.lock().unwrap(), b"beginaSHARED\r\nbcother\r\ndx\r\nend", "step {step}");
            assert_eq!(outbox.lock().unwrap().held(), 0);
        }
    }

    #[test]
    fn a_frame_beyond_the_limit_is_refused_whole() {
        let (mut outbox, mut spares) = (Outbox::default(), Spares::default());
        assert_eq!(outbox.append(4, &mut spares, b"full"), Appended::Flush);
        assert_eq!(outbox.append(4, &mut spares, b"x"), Appended::Overflow);
        assert_eq!(outbox.held(), 4);
        outbox.close();
        assert_eq!(outbox.append(4, &mut spares, b"x"), Appended::Closed);
    }

    #[test]
    fn a_load_beyond_the_limit_is_refused_whole_and_counted() {
        let load = || {
            let mut load = Load::default();
            assert_eq!(load.add(&[b"ab"], None, 1) + load.add(&[b"c"], None, 1), 3);
            load
        };
        let (mut outbox, mut spares) = (Outbox::default(), Spares::default());
        assert_eq!(outbox.accept(5, &mut spares, load()), Appended::Flush);
        assert_eq!(outbox.accept(5, &mut spares, load()), Appended::Overflow);
        assert_eq!((outbox.held(), outbox.msgs, outbox.bytes, outbox.queued_msgs()), (3, 2, 2, 2));
        assert_eq!(outbox.accept(6, &mut spares, load()), Appended::Queued);
        assert_eq!((outbox.held(), outbox.msgs), (6, 4));
    }
}
