//! What every kind of transport and of listener does.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crosstie_core::{ByteTransport, Target, instant_after};
use crosstie_sys::{Interest, PeerProcess};
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection of any kind: bytes that never block, and two ways to wait for them.
///
/// A reactor that waits for many at once needs a [`SocketTransport`]. A new kind of connection implements this and has all faces.
pub trait Transport: ByteTransport + 'static {
    /// Waits until reading or writing may go on, at most `timeout`; true if it may. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn wait_ready(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<bool>;

    /// Reads what is there, waiting for it at most `timeout`. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// `TimedOut`; the operating system's.
    fn read_within(&self, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        patiently(timeout, || self.try_read(buf), |left| self.wait_ready(Interest::Read, left))
    }

    /// Says what to wait for, with others, after a read has found nothing: [`wait_for_any`](crate::wait_for_any) does.
    ///
    /// # Errors
    ///
    /// The operating system's; `Unsupported` where there is nothing to wait for.
    fn arm_reading(&self) -> io::Result<Armed<'_>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this connection cannot be waited for with others"))
    }

    /// Its face for tokio. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn into_async(self: Box<Self>) -> io::Result<Box<dyn AsyncStream>>;

    /// Ends the direction towards the peer: it reads what was written, and then the end. The other direction goes on.
    ///
    /// # Errors
    ///
    /// The operating system's; `Unsupported` where one direction cannot end alone.
    fn end_writing(&self) -> io::Result<()>;

    /// Sends on what was taken by a write and has not left yet; `WouldBlock` if some of it stays. Most kinds keep nothing back. Those that do also send
    /// it on with every later read and write.
    ///
    /// # Errors
    ///
    /// As [`ByteTransport::try_write`].
    fn try_flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// True if a read may have something although the descriptor is silent, because it came earlier and is kept inside. Whoever waits for many
    /// descriptors asks this after a read that did not end with `WouldBlock`.
    fn has_more(&self) -> bool {
        false
    }

    /// Writes `bytes` together with descriptors, of which the peer gets copies, as much as fits now.
    ///
    /// # Errors
    ///
    /// As [`ByteTransport::try_write`]; `Unsupported` where descriptors do not pass.
    fn try_pass(&self, _bytes: &[u8], _descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        Err(no_descriptors())
    }

    /// Reads what is there, and the descriptors that came with it.
    ///
    /// # Errors
    ///
    /// As [`ByteTransport::try_read`]; `Unsupported` where descriptors do not pass.
    fn try_take(&self, _buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        Err(no_descriptors())
    }
}

/// Does `act` until it need not wait, and waits in between, in all at most `timeout`.
pub(crate) fn patiently<T>(
    timeout: Option<Duration>,
    mut act: impl FnMut() -> io::Result<T>,
    mut wait: impl FnMut(Option<Duration>) -> io::Result<bool>,
) -> io::Result<T> {
    let mut until = None;
    loop {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => return result,
        }
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // The clock is read only by who has to wait.
        let left = timeout.map(|timeout| {
            let now = Instant::now();
            until.get_or_insert_with(|| instant_after(now, timeout)).saturating_duration_since(now)
        });
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        wait(left)?;
    }
}

/// What to wait for before a read is tried again: any of these.
#[derive(Default)]
pub struct Armed<'a> {
    /// There is something already.
    pub(crate) is_ready: bool,
    /// A time.
    pub(crate) at_most: Option<Duration>,
    /// Descriptors that become readable, or end.
    pub(crate) descriptors: Vec<Watched<'a>>,
    /// The descriptors have something to send on, so that room in them is worth a try as well.
    pub(crate) wants_room: bool,
}

/// A descriptor that somebody else may let go of meanwhile, or not.
pub(crate) enum Watched<'a> {
    Borrowed(BorrowedFd<'a>),
    Shared(Arc<OwnedFd>),
}

impl AsFd for Watched<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Borrowed(descriptor) => *descriptor,
            Self::Shared(descriptor) => descriptor.as_fd(),
        }
    }
}

impl<'a> Armed<'a> {
    /// A read is worth a try at once.
    pub(crate) fn ready() -> Self {
        Self { is_ready: true, ..Self::default() }
    }

    pub(crate) fn of(descriptor: BorrowedFd<'a>) -> Self {
        Self { descriptors: vec![Watched::Borrowed(descriptor)], ..Self::default() }
    }
}

fn no_descriptors() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "descriptors pass over unix: alone")
}

/// A two-way stream of bytes for tokio.
pub trait AsyncStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AsyncStream for T {}

/// A connection over a descriptor that can be waited for with others.
pub trait SocketTransport: Transport + AsFd {}

impl<T: Transport + AsFd> SocketTransport for T {}

/// Who is at the other end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Somebody on the network.
    Network(SocketAddr),
    /// A process of this machine, for which the kernel vouches.
    Local(PeerProcess),
    /// A child of this process, by its number.
    Child(u32),
    /// This process itself.
    Here,
    /// Nothing is known.
    Unknown,
}

impl Peer {
    /// The network address, if there is one.
    pub const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Network(address) => Some(address),
            _ => None,
        }
    }

    /// The process, if it is on this machine and the kernel tells.
    pub const fn process(self) -> Option<PeerProcess> {
        match self {
            Self::Local(process) => Some(process),
            _ => None,
        }
    }
}

/// A listener of one kind.
pub(crate) trait Listen: Send + Sync + AsFd {
    /// Accepts a connection that waits.
    fn accept(&self) -> io::Result<(Box<dyn SocketTransport>, Peer)>;
    /// Where it listens.
    fn local_target(&self) -> io::Result<Target>;
}

/// Turns "it would block" into "not yet".
pub(crate) fn or_pending<T>(result: io::Result<T>, cx: &Context<'_>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        result => Poll::Ready(result),
    }
}
