//! A stream over two byte rings in shared memory, with a Unix socket as its lifeline.
//!
//! Bytes go through memory alone. Each direction has two bells (eventfds), one for who waits for bytes and one for who waits for room; they ring only
//! for somebody who said that he sleeps. The socket carries nothing after the greeting: it says who is there, and its end is that of the peer.

use std::{
    io::{self, IoSlice},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering::*},
    task::{Context, Poll},
    time::Duration,
};

use crosstie_core::{ByteTransport, Wait};
use crosstie_shm::{StreamMemory, StreamSide, Wakes};
use crosstie_sys::{Interest, Signal, receive_descriptors, send_descriptors};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, recv},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, unix::AsyncFd};

use crate::{
    spin::Spin,
    transport::{Armed, AsyncStream, Transport, Watched},
    watched::watched,
};

/// Bytes on the way in each direction.
pub(crate) const CAPACITY: u32 = 128 * 1024;

/// What goes through the memory: the two ends say it to each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) magic: &'static [u8; 8],
    pub(crate) capacity: u32,
}

/// Bytes, both ways.
pub(crate) const STREAM: Form = Form { magic: b"ctstream", capacity: CAPACITY };

const VERSION: u32 = 1;
/// Magic, version, capacity.
const GREETING: usize = 16;
const BELLS: usize = 4;

/// One end.
pub(crate) struct SharedStream {
    memory: StreamMemory,
    lifeline: UnixStream,
    bells: Bells,
    /// The lifeline has ended.
    is_gone: AtomicBool,
    spin: Spin,
}

struct Bells {
    bytes_came: Signal,
    room_came: Signal,
    /// The peer's.
    bytes_went: Signal,
    room_went: Signal,
}

impl SharedStream {
    /// Makes the memory and hands it over. The socket does not block.
    pub(crate) fn offer(lifeline: UnixStream, form: Form) -> io::Result<Self> {
        let (memory, file) = StreamMemory::create(form.capacity)?;
        let bells = [Signal::new()?, Signal::new()?, Signal::new()?, Signal::new()?];
        let mut greeting = [0; GREETING];
        greeting[..8].copy_from_slice(form.magic);
        greeting[8..12].copy_from_slice(&VERSION.to_le_bytes());
        greeting[12..].copy_from_slice(&form.capacity.to_le_bytes());
        let mut descriptors = vec![file.as_fd()];
        descriptors.extend(bells.iter().map(AsFd::as_fd));
        if send_descriptors(&lifeline, &greeting, &descriptors)? != GREETING {
            return Err(io::Error::other("a fresh socket has room for a greeting"));
        }
        Ok(Self::new(memory, StreamSide::Maker, lifeline, bells))
    }

    /// Takes what the other side has handed over. `WouldBlock` if it has not yet.
    pub(crate) fn take(lifeline: &UnixStream, form: Form) -> io::Result<Self> {
        let refuse = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("expected {what}"));
        let mut greeting = [0; GREETING];
        let (count, descriptors) = receive_descriptors(lifeline, &mut greeting)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let number =
            |at: usize| u32::from_le_bytes([greeting[at], greeting[at + 1], greeting[at + 2], greeting[at + 3]]);
        if count != GREETING || greeting[..8] != *form.magic {
            return Err(refuse("the greeting of this kind of shared memory"));
        }
        if number(8) != VERSION {
            return Err(refuse(&format!("version {VERSION} of the stream in shared memory, came {}", number(8))));
        }
        let mut descriptors = descriptors.into_iter();
        let file = descriptors.next().ok_or_else(|| refuse("memory"))?;
        let bells: Vec<OwnedFd> = descriptors.collect();
        let bells = bells.into_iter().map(Signal::of_peer).collect::<io::Result<Vec<_>>>()?;
        let bells = <[Signal; BELLS]>::try_from(bells).map_err(|_| refuse("four bells"))?;
        let memory = StreamMemory::open(file, number(12))?;
        Ok(Self::new(memory, StreamSide::Taker, lifeline.try_clone()?, bells))
    }

    /// The bells are: bytes and room of the maker's direction, bytes and room of the other.
    fn new(memory: StreamMemory, side: StreamSide, lifeline: UnixStream, bells: [Signal; BELLS]) -> Self {
        let [bytes_there, room_there, bytes_back, room_back] = bells;
        let bells = match side {
            StreamSide::Maker => {
                Bells { bytes_came: bytes_back, room_came: room_there, bytes_went: bytes_there, room_went: room_back }
            }
            StreamSide::Taker => {
                Bells { bytes_came: bytes_there, room_came: room_back, bytes_went: bytes_back, room_went: room_there }
            }
        };
        Self { memory, lifeline, bells, is_gone: AtomicBool::new(false), spin: Spin::new(Wait::default()) }
    }

    /// The same stream, whose threads wait so.
    pub(crate) fn waiting(mut self, wait: Wait) -> Self {
        self.spin = Spin::new(wait);
        self
    }

    /// Looks whether the other side is still there. Nothing comes over the socket any more, so anything but silence is the end.
    pub(crate) fn look_at_lifeline(&self) {
        match recv(&self.lifeline, &mut [0_u8; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // pairs with the Acquire in try_read: what the peer wrote before is seen after.
            _ => self.is_gone.store(true, Release),
        }
    }

    /// The memory, for who sends letters through it instead of bytes.
    pub(crate) const fn memory(&self) -> &StreamMemory {
        &self.memory
    }

    pub(crate) fn lifeline(&self) -> &UnixStream {
        &self.lifeline
    }

    /// Whether the other side is gone, as far as was looked.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Acquire)
    }

    /// Tells the reader that something came.
    pub(crate) fn ring_bytes(&self, wakes: Wakes) {
        ring(&self.bells.bytes_went, wakes);
    }

    /// Tells the writer that there is room.
    pub(crate) fn ring_room(&self, wakes: Wakes) {
        ring(&self.bells.room_went, wakes);
    }

    fn is_ready(&self, reading: bool) -> bool {
        self.is_gone.load(Acquire) || if reading { self.memory.is_readable() } else { self.memory.is_writable() }
    }

    fn arm(&self, reading: bool) -> bool {
        if reading { self.memory.arm_reading() } else { self.memory.arm_writing() }
    }

    pub(crate) fn bell(&self, reading: bool) -> &Signal {
        if reading { &self.bells.bytes_came } else { &self.bells.room_came }
    }

    /// Sleeps until the bell rings or the lifeline ends; true if one of them did.
    fn sleep(&self, reading: bool, timeout: Option<Duration>) -> io::Result<bool> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let bell = self.bell(reading);
        let mut polled =
            [PollFd::new(bell, PollFlags::IN), PollFd::new(&self.lifeline, PollFlags::IN | PollFlags::RDHUP)];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let has_ended = !polled[1].revents().is_empty();
        if has_ended {
            self.look_at_lifeline();
        }
        bell.silence()?;
        Ok(true)
    }
}

/// Rings if somebody said that he sleeps. That the other side is gone is seen elsewhere.
fn ring(bell: &Signal, wakes: Wakes) {
    if wakes.0 {
        let _ = bell.ring_warily();
    }
}

impl ByteTransport for SharedStream {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let is_gone = self.is_gone.load(Acquire);
        match self.memory.try_read(buf) {
            Ok((count, wakes)) => {
                ring(&self.bells.room_went, wakes);
                Ok(count)
            }
            // It went without a word: that is no orderly end.
            Err(error) if is_gone && error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Err(error) => Err(error),
        }
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_gone.load(Acquire) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let (count, wakes) = self.memory.try_write(slices)?;
        ring(&self.bells.bytes_went, wakes);
        Ok(count)
    }

    fn shutdown(&self) {
        ring(&self.bells.bytes_went, self.memory.end_writing());
        ring(&self.bells.room_went, self.memory.end_reading());
        // Wakes who sleeps on this side, too.
        let _ = self.lifeline.shutdown(std::net::Shutdown::Both);
    }
}

impl Transport for SharedStream {
    fn wait_ready(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<bool> {
        // Of two directions the one that is read decides: a thread waits for one of them at a time.
        let reading = interest != Interest::Write;
        if self.spin.is_busy() {
            return Ok(self.spin.look_on(timeout, || self.is_ready(reading), || self.look_at_lifeline()));
        }
        if self.spin.looks(self.memory.processors_across(), || self.is_ready(reading)) || self.arm(reading) {
            return Ok(true);
        }
        self.sleep(reading, timeout)
    }

    fn arm_reading(&self) -> io::Result<Armed<'_>> {
        self.bells.bytes_came.silence()?;
        self.look_at_lifeline();
        if self.is_gone() || self.arm(true) {
            return Ok(Armed::ready());
        }
        let descriptors = [self.bells.bytes_came.as_fd(), self.lifeline.as_fd()].map(Watched::Borrowed).into();
        Ok(Armed { descriptors, ..Armed::default() })
    }

    fn into_async(self: Box<Self>) -> io::Result<Box<dyn AsyncStream>> {
        Ok(Box::new(SharedAsync { reading: Side::new(&self, true)?, writing: Side::new(&self, false)?, stream: self }))
    }

    fn end_writing(&self) -> io::Result<()> {
        ring(&self.bells.bytes_went, self.memory.end_writing());
        Ok(())
    }
}

impl Drop for SharedStream {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The face for tokio.
struct SharedAsync {
    reading: Side,
    writing: Side,
    stream: Box<SharedStream>,
}

/// What one direction waits for: its bell, and the lifeline, under a number of its own, since the two directions may be two tasks.
struct Side {
    bell: AsyncFd<OwnedFd>,
    lifeline: AsyncFd<OwnedFd>,
}

impl Side {
    fn new(stream: &SharedStream, reading: bool) -> io::Result<Self> {
        let register = |fd: BorrowedFd<'_>| watched(fd.try_clone_to_owned()?, tokio::io::Interest::READABLE);
        Ok(Self { bell: register(stream.bell(reading).as_fd())?, lifeline: register(stream.lifeline.as_fd())? })
    }

    /// Does `act` until it need not wait.
    fn poll<T>(
        &self,
        stream: &SharedStream,
        reading: bool,
        cx: &mut Context<'_>,
        mut act: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match act() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
            if stream.arm(reading) {
                continue;
            }
            if let Poll::Ready(rung) = self.bell.poll_read_ready(cx) {
                let mut rung = rung?;
                stream.bell(reading).silence()?;
                rung.clear_ready();
                continue;
            }
            match self.lifeline.poll_read_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(ended) => {
                    let mut ended = ended?;
                    stream.look_at_lifeline();
                    if !stream.is_gone.load(Acquire) {
                        ended.clear_ready();
                    }
                }
            }
        }
    }
}

impl AsyncRead for SharedAsync {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let act = || {
            let count = self.stream.try_read(buf.initialize_unfilled())?;
            buf.advance(count);
            Ok(())
        };
        self.reading.poll(&self.stream, true, cx, act)
    }
}

impl AsyncWrite for SharedAsync {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writing.poll(&self.stream, false, cx, || self.stream.try_write(&[IoSlice::new(bytes)]))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.end_writing())
    }
}
