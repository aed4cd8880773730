//! A two-way stream of bytes in shared memory: two rings, one for each direction, in sealed memory that two processes share.
//!
//! ```text
//!   0        512       1024          4096            4096 + capacity    4096 + 2 * capacity
//!   ┌─────────┬─────────┬─ ─ ─ ─ ─ ─ ─┬───────────────┬──────────────────┐
//!   │control 0│control 1│   nothing    │ bytes 0       │ bytes 1          │
//!   └─────────┴─────────┴─ ─ ─ ─ ─ ─ ─┴───────────────┴──────────────────┘
//!
//!   control:  0    tail u64, ended u32     written by who writes
//!             128  head u64, gone u32      written by who reads
//!             256  reader waits u32        set by who reads, taken by who writes
//!             384  writer waits u32        set by who writes, taken by who reads
//!             448  processors u64          written by who writes, once: where it may run, one bit each, 0 if that is not known
//! ```
//!
//! Who made the memory writes into ring 0. Positions count bytes since the beginning and never wrap. `ended` says that no more bytes come, `gone`
//! that nobody reads any more.
//!
//! Each end keeps its own positions to itself and checks every one that it reads of the other's: what does not fit is an error, and never an address.
//! Bytes are copied, once, while they are this end's by the positions. A peer that breaks the rules can damage the bytes that it sends and the
//! connection; nothing else.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crosstie_sys::{Access, Mapping, is_sealed, processors, sealed_memory};

use super::flow::{Broken, Flow, Found, Position, Wakes};
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed};

const CONTROL: usize = 512;
const TAIL: usize = 0;
const ENDED: usize = 8;
const HEAD: usize = 128;
const GONE: usize = 136;
const READER_WAITS: usize = 256;
const WRITER_WAITS: usize = 384;
const PROCESSORS: usize = 448;
const BYTES: usize = 4096;

/// Which end of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamSide {
    /// Who made the memory.
    Maker,
    /// Who was given it.
    Taker,
}

/// One end of a stream of bytes in shared memory. It never blocks; how to wait and to wake is its user's.
#[derive(Debug)]
pub struct StreamMemory {
    pub(super) writing: Mutex<Position>,
    pub(super) reading: Mutex<Position>,
    side: StreamSide,
    pub(super) capacity: u64,
    mapping: Mapping,
}

impl StreamMemory {
    /// The smallest capacity of a ring.
    pub const MIN_CAPACITY: u32 = 4096;
    /// The largest.
    pub const MAX_CAPACITY: u32 = 1 << 30;

    /// New memory with `capacity` bytes for each direction, a power of two; and its descriptor, for the other side.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another capacity; the operating system's.
    pub fn create(capacity: u32) -> io::Result<(Self, OwnedFd)> {
        let len = Self::len(capacity)?;
        let file = sealed_memory("crosstie-stream", len as u64)?;
        Ok((Self::map(&file, capacity, len, StreamSide::Maker)?, file))
    }

    /// The memory behind a descriptor that another process sent. It must be sealed in its length, so that nobody can take memory away that is
    /// mapped here.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a descriptor or capacity that does not fit; the operating system's.
    pub fn open(file: OwnedFd, capacity: u32) -> io::Result<Self> {
        let refuse = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("expected {what} for a stream"));
        let len = Self::len(capacity).map_err(|_| refuse("a capacity that is a power of two"))?;
        if !matches!(is_sealed(&file), Ok(true)) {
            return Err(refuse("memory sealed in its length"));
        }
        if rustix::fs::fstat(&file)?.st_size.unsigned_abs() != len as u64 {
            return Err(refuse("memory of the length that its capacity says"));
        }
        Self::map(&file, capacity, len, StreamSide::Taker)
    }

    fn len(capacity: u32) -> io::Result<usize> {
        if !capacity.is_power_of_two() || !(Self::MIN_CAPACITY..=Self::MAX_CAPACITY).contains(&capacity) {
            let text = format!("expected a power of two from 4 KiB to 1 GiB as the capacity, found {capacity}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(BYTES + 2 * capacity as usize)
    }

    fn map(file: impl AsFd, capacity: u32, len: usize, side: StreamSide) -> io::Result<Self> {
        let mapping = Mapping::shared(file, len, Access::ReadWrite)?;
        let position = || Mutex::new(Position::default());
        let memory = Self { writing: position(), reading: position(), side, capacity: u64::from(capacity), mapping };
        // It says how to wait best, and nothing hangs on it.
        memory.outbound().u64(PROCESSORS).store(processors::allowed(), Relaxed);
        Ok(memory)
    }

    /// The processors that the other side may run on, one bit each, as it says; 0 if it is not there yet.
    pub fn processors_across(&self) -> u64 {
        self.inbound().u64(PROCESSORS).load(Relaxed)
    }

    /// Writes as much as fits, from several slices in order.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing fits; `BrokenPipe` if nobody reads any more, or this direction has ended; `InvalidData` if the other side broke the rules.
    pub fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<(usize, Wakes)> {
        let ring = self.outbound();
        let flow = ring.flow();
        let mut position = lock(&self.writing);
        if flow.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        let room = flow.room(&mut position, wanted as u64).map_err(|broken| told(broken, &position))?;
        if room == 0 && wanted > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut written = 0;
        for slice in slices {
            let fits = slice.len().min(usize::try_from(room).unwrap_or(usize::MAX) - written);
            self.copy_in(ring, position.own + written as u64, &slice[..fits]);
            written += fits;
        }
        Ok((written, flow.publish(&mut position, written as u64)))
    }

    /// Reads what is there. Zero bytes are the end of the other's direction.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there yet; `InvalidData` if the other side broke the rules.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<(usize, Wakes)> {
        let ring = self.inbound();
        let flow = ring.flow();
        let mut position = lock(&self.reading);
        if flow.gone.load(Relaxed) != 0 {
            return Ok((0, Wakes(false)));
        }
        let there = match flow.found(&mut position).map_err(|broken| told(broken, &position))? {
            Found::Bytes(there) => there,
            Found::End => return Ok((0, Wakes(false))),
            Found::Nothing => return Err(io::ErrorKind::WouldBlock.into()),
        };
        let count = buf.len().min(usize::try_from(there).unwrap_or(usize::MAX));
        self.copy_out(ring, position.own, &mut buf[..count]);
        Ok((count, flow.take(&mut position, count as u64)))
    }

    /// True if a read would find something, the end included.
    pub fn is_readable(&self) -> bool {
        let own = lock(&self.reading).own;
        self.inbound().flow().is_readable(own)
    }

    /// True if a write would find room, or an error.
    pub fn is_writable(&self) -> bool {
        self.has_room_for(1)
    }

    /// Says that this side waits for bytes. True if there are some already: then it need not.
    pub fn arm_reading(&self) -> bool {
        self.inbound().flow().arm_reading(|| self.is_readable())
    }

    /// Says that this side waits for room. True if there is some already: then it need not.
    pub fn arm_writing(&self) -> bool {
        self.arm_writing_of(1)
    }

    /// Says that this side waits for room for so many bytes. True if there is room already, or never will be: then it need not.
    pub(super) fn arm_writing_of(&self, wanted: u64) -> bool {
        self.outbound().flow().arm_writing(|| self.has_room_for(wanted))
    }

    fn has_room_for(&self, wanted: u64) -> bool {
        let own = lock(&self.writing).own;
        self.outbound().flow().is_writable(own, wanted)
    }

    /// Ends this side's direction: the other reads what was written, and then the end.
    pub fn end_writing(&self) -> Wakes {
        let _exclusive = lock(&self.writing);
        self.outbound().flow().end_writing()
    }

    /// Says that this side reads no more: the other's writes fail.
    pub fn end_reading(&self) -> Wakes {
        self.inbound().flow().end_reading()
    }

    pub(super) fn outbound(&self) -> Ring<'_> {
        self.ring(usize::from(self.side == StreamSide::Taker))
    }

    pub(super) fn inbound(&self) -> Ring<'_> {
        self.ring(usize::from(self.side == StreamSide::Maker))
    }

    fn ring(&self, index: usize) -> Ring<'_> {
        let capacity = usize::try_from(self.capacity).expect("a capacity below 2^31");
        let (control, bytes) = (index * CONTROL, BYTES + index * capacity);
        assert!(control + CONTROL <= BYTES && bytes + capacity <= self.mapping.len(), "both rings lie in the mapping");
        Ring { mapping: &self.mapping, control, bytes, capacity }
    }

    pub(super) fn copy_in(&self, ring: Ring<'_>, position: u64, bytes: &[u8]) {
        let (first, second) = bytes.split_at(bytes.len().min(ring.left_from(position)));
        for (position, piece) in [(position, first), (position + first.len() as u64, second)] {
            let at = ring.address(position, piece.len());
            // SAFETY: `address` has checked that the piece lies in the ring, which is mapped for as long as `self` lives, and `piece` is ours, so
            // they do not overlap. By the positions this stretch is this end's, and the lock makes this thread its only one. No reference to the
            // memory is made; a peer that writes there all the same changes bytes, of which any is a value.
            unsafe { std::ptr::copy_nonoverlapping(piece.as_ptr(), at, piece.len()) };
        }
    }

    pub(super) fn copy_out(&self, ring: Ring<'_>, position: u64, buf: &mut [u8]) {
        let (first, second) = buf.split_at_mut(buf.len().min(ring.left_from(position)));
        let then = position + first.len() as u64;
        for (position, piece) in [(position, first), (then, second)] {
            let at = ring.address(position, piece.len());
            // SAFETY: as in `copy_in`, with the directions changed.
            unsafe { std::ptr::copy_nonoverlapping(at, piece.as_mut_ptr(), piece.len()) };
        }
    }
}

pub(super) fn lock(position: &Mutex<Position>) -> MutexGuard<'_, Position> {
    position.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn told(broken: Broken, position: &Position) -> io::Error {
    let Broken { what, came } = broken;
    let text = format!(
        "the other side broke the rules of the stream: {came} bytes {what}, where {} were before and {} are ours",
        position.theirs, position.own
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// One direction in the memory.
#[derive(Clone, Copy)]
pub(super) struct Ring<'m> {
    mapping: &'m Mapping,
    control: usize,
    bytes: usize,
    capacity: usize,
}

impl<'m> Ring<'m> {
    pub(super) fn flow(self) -> Flow<'m> {
        Flow {
            tail: self.u64(TAIL),
            ended: self.u32(ENDED),
            head: self.u64(HEAD),
            gone: self.u32(GONE),
            reader_waits: self.u32(READER_WAITS),
            writer_waits: self.u32(WRITER_WAITS),
            capacity: self.capacity as u64,
        }
    }

    fn u64(self, at: usize) -> &'m AtomicU64 {
        assert!(at + 8 <= CONTROL && at.is_multiple_of(8), "a word of the control");
        // SAFETY: the control lies in the mapping (checked in `ring`), which begins at a page, so the word is there and aligned for as long as the
        // mapping is borrowed; everybody who follows the layout touches it as an atomic alone.
        unsafe { AtomicU64::from_ptr(self.mapping.start().as_ptr().add(self.control + at).cast()) }
    }

    fn u32(self, at: usize) -> &'m AtomicU32 {
        assert!(at + 4 <= CONTROL && at.is_multiple_of(4), "a word of the control");
        // SAFETY: as in `u64`.
        unsafe { AtomicU32::from_ptr(self.mapping.start().as_ptr().add(self.control + at).cast()) }
    }

    #[allow(clippy::cast_possible_truncation, reason = "below the capacity")]
    fn index(self, position: u64) -> usize {
        (position & (self.capacity as u64 - 1)) as usize
    }

    /// Bytes from `position` to the end of the ring's memory.
    fn left_from(self, position: u64) -> usize {
        self.capacity - self.index(position)
    }

    /// Where `length` bytes from `position` are.
    fn address(self, position: u64, length: usize) -> *mut u8 {
        assert!(length <= self.left_from(position), "a piece does not wrap around");
        // SAFETY: the ring lies in the mapping (checked in `ring`), and the piece in the ring.
        unsafe { self.mapping.start().as_ptr().add(self.bytes + self.index(position)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(capacity: u32) -> (StreamMemory, StreamMemory) {
        let (maker, file) = StreamMemory::create(capacity).unwrap();
        (maker, StreamMemory::open(file, capacity).unwrap())
    }

    fn write(end: &StreamMemory, bytes: &[u8]) -> io::Result<usize> {
        end.try_write(&[IoSlice::new(bytes)]).map(|(count, _)| count)
    }

    #[test]
    fn each_end_says_where_it_may_run() {
        let (maker, file) = StreamMemory::create(4096).unwrap();
        assert_eq!(maker.processors_across(), 0, "nobody is there yet");
        let taker = std::thread::spawn(move || {
            processors::pin(processors::allowed().trailing_zeros() as usize).unwrap();
            StreamMemory::open(file, 4096).unwrap()
        });
        let taker = taker.join().unwrap();
        assert_eq!(maker.processors_across(), processors::allowed() & processors::allowed().wrapping_neg());
        assert_eq!(taker.processors_across(), processors::allowed());
    }

    #[test]
    fn bytes_go_both_ways_and_around_the_end() {
        let (one, other) = pair(4096);
        let text: Vec<u8> = (0..3000_u32).map(|at| (at % 251) as u8).collect();
        let mut buf = vec![0; 3000];
        for (from, to) in [(&one, &other), (&other, &one)] {
            for _ in 0..10 {
                assert_eq!(write(from, &text).unwrap(), 3000);
                assert_eq!(to.try_read(&mut buf).unwrap().0, 3000);
                assert_eq!(buf, text);
            }
        }
    }

    #[test]
    fn no_more_fits_than_there_is_room() {
        let (one, other) = pair(4096);
        assert!(one.is_writable() && !other.is_readable());
        assert_eq!(one.try_write(&[IoSlice::new(&[1; 4000]), IoSlice::new(&[2; 4000])]).unwrap().0, 4096);
        assert_eq!(write(&one, b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(!one.is_writable() && other.is_readable());
        let mut buf = [0; 4001];
        assert_eq!(other.try_read(&mut buf).unwrap().0, 4001);
        assert_eq!((buf[3999], buf[4000]), (1, 2));
        assert_eq!(write(&one, &[3; 8000]).unwrap(), 4001);
    }

    #[test]
    fn whoever_said_that_he_waits_is_woken_once_and_nobody_else() {
        let (one, other) = pair(4096);
        assert_eq!(one.try_write(&[IoSlice::new(b"a")]).unwrap().1, Wakes(false), "nobody waits");
        assert!(other.arm_reading(), "there is something already");
        assert_eq!(other.try_read(&mut [0; 8]).unwrap().0, 1);
        assert!(!other.arm_reading());
        assert_eq!(one.try_write(&[IoSlice::new(b"b")]).unwrap().1, Wakes(true));
        assert_eq!(one.try_write(&[IoSlice::new(b"c")]).unwrap().1, Wakes(false), "it was told");
        while write(&one, &[0; 1000]).is_ok() {}
        assert!(!one.arm_writing());
        assert_eq!(other.try_read(&mut [0; 10]).unwrap().1, Wakes(false), "too little to be worth it");
        assert_eq!(other.try_read(&mut [0; 1100]).unwrap().1, Wakes(true));
    }

    #[test]
    fn the_end_comes_after_what_came_before_it() {
        let (one, other) = pair(4096);
        write(&one, b"last").unwrap();
        assert!(!other.arm_reading() || other.is_readable());
        let _ = one.end_writing();
        let mut buf = [0; 8];
        assert_eq!(other.try_read(&mut buf).unwrap().0, 4);
        assert_eq!(other.try_read(&mut buf).unwrap().0, 0);
        assert_eq!(write(&one, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(write(&other, b"back").unwrap(), 4, "the other direction goes on");
        let _ = one.end_reading();
        assert_eq!(write(&other, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    /// What the other side may write into the control at any time.
    #[test]
    fn positions_that_do_not_fit_are_an_error() {
        for wrong in [1 << 40, 5000, u64::MAX] {
            let (one, other) = pair(4096);
            write(&one, b"abc").unwrap();
            one.outbound().u64(TAIL).store(wrong, Relaxed);
            assert_eq!(other.try_read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::InvalidData);
            other.inbound().u64(HEAD).store(wrong, Relaxed);
            assert_eq!(write(&one, &[0; 5000]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn memory_that_can_shrink_or_has_another_length_is_refused() {
        let (_, file) = StreamMemory::create(4096).unwrap();
        assert_eq!(StreamMemory::open(file, 8192).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let plain = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(StreamMemory::open(plain.into(), 4096).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(StreamMemory::create(5000).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
