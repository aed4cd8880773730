//! Streams over plain descriptors: one to read, one to write, or one of them alone.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use crosstie_core::ByteTransport;
use crosstie_sys::{Interest, wait_ready};
use rustix::io::{Errno, ioctl_fionbio, read, write, writev};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, unix::AsyncFd};

use crate::{
    transport::{Armed, AsyncStream, Transport, Watched},
    watched::watched,
};

/// One end. Ending a direction closes its descriptor.
pub(crate) struct DescriptorTransport {
    reader: Mutex<Option<Shared>>,
    writer: Mutex<Option<Shared>>,
    /// Dropped with the transport, after the descriptors.
    _guard: Option<Box<dyn Send + Sync>>,
}

/// A descriptor that stays open while a thread uses it, whoever ends its direction meanwhile.
#[derive(Clone)]
struct Shared(Arc<OwnedFd>);

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl DescriptorTransport {
    /// Both descriptors are made not to block.
    pub(crate) fn new(reader: Option<OwnedFd>, writer: Option<OwnedFd>) -> io::Result<Self> {
        for descriptor in reader.iter().chain(&writer) {
            ioctl_fionbio(descriptor, true)?;
        }
        let share = |descriptor: Option<OwnedFd>| Mutex::new(descriptor.map(|fd| Shared(Arc::new(fd))));
        Ok(Self { reader: share(reader), writer: share(writer), _guard: None })
    }

    /// The same, with something that is dropped when it ends.
    pub(crate) fn with_guard(mut self, guard: Box<dyn Send + Sync>) -> Self {
        self._guard = Some(guard);
        self
    }
}

fn take(side: &Mutex<Option<Shared>>) -> Option<Shared> {
    side.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn shared(side: &Mutex<Option<Shared>>) -> Option<Shared> {
    side.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl ByteTransport for DescriptorTransport {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match shared(&self.reader) {
            Some(reader) => read_some(&reader, buf),
            None => Ok(0),
        }
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match shared(&self.writer) {
            Some(writer) => write_some(&writer, slices),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn shutdown(&self) {
        drop((take(&self.reader), take(&self.writer)));
    }
}

fn read_some(reader: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    match read(reader, buf) {
        // What a terminal says when its other side is gone.
        Err(Errno::IO) => Ok(0),
        outcome => Ok(outcome?),
    }
}

fn write_some(writer: impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(match slices {
        [one] => write(writer, one)?,
        many => writev(writer, many)?,
    })
}

impl Transport for DescriptorTransport {
    fn wait_ready(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<bool> {
        let side = if interest == Interest::Write { shared(&self.writer) } else { shared(&self.reader) };
        // An ended direction is ready: it has the end.
        side.map_or(Ok(true), |side| wait_ready(side, interest, timeout))
    }

    fn arm_reading(&self) -> io::Result<Armed<'_>> {
        // An ended direction is ready: it has the end.
        Ok(shared(&self.reader).map_or_else(Armed::ready, |reader| Armed {
            descriptors: vec![Watched::Shared(reader.0)],
            ..Armed::default()
        }))
    }

    fn into_async(self: Box<Self>) -> io::Result<Box<dyn AsyncStream>> {
        let reader = take(&self.reader).map(|fd| Side::new(fd, tokio::io::Interest::READABLE)).transpose()?;
        let writer = take(&self.writer).map(|fd| Side::new(fd, tokio::io::Interest::WRITABLE)).transpose()?;
        Ok(Box::new(DescriptorStream { reader, writer, _guard: self._guard }))
    }

    fn end_writing(&self) -> io::Result<()> {
        drop(take(&self.writer));
        Ok(())
    }
}

/// The face for tokio.
struct DescriptorStream {
    reader: Option<Side>,
    writer: Option<Side>,
    _guard: Option<Box<dyn Send + Sync>>,
}

/// A descriptor that epoll knows, or one that it need not know because it is always ready: a file.
enum Side {
    Watched(AsyncFd<Shared>),
    Always(Shared),
}

impl Side {
    fn new(descriptor: Shared, interest: tokio::io::Interest) -> io::Result<Self> {
        match watched(descriptor.clone(), interest) {
            Ok(watched) => Ok(Self::Watched(watched)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Self::Always(descriptor)),
            Err(error) => Err(error),
        }
    }
}

impl AsyncRead for DescriptorStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let act = |fd: &Shared, buf: &mut ReadBuf<'_>| {
            let count = read_some(fd, buf.initialize_unfilled())?;
            buf.advance(count);
            Ok(())
        };
        match &self.reader {
            None => Poll::Ready(Ok(())),
            Some(Side::Always(fd)) => Poll::Ready(act(fd, buf)),
            Some(Side::Watched(fd)) => loop {
                let mut guard = ready!(fd.poll_read_ready(cx))?;
                if let Ok(outcome) = guard.try_io(|fd| act(fd.get_ref(), buf)) {
                    return Poll::Ready(outcome);
                }
            },
        }
    }
}

impl AsyncWrite for DescriptorStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &self.writer {
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(Side::Always(fd)) => Poll::Ready(write_some(fd, &[IoSlice::new(bytes)])),
            Some(Side::Watched(fd)) => loop {
                let mut guard = ready!(fd.poll_write_ready(cx))?;
                if let Ok(outcome) = guard.try_io(|fd| write_some(fd.get_ref(), &[IoSlice::new(bytes)])) {
                    return Poll::Ready(outcome);
                }
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer = None;
        Poll::Ready(Ok(()))
    }
}
