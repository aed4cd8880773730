//! The face for tokio of a transport that keeps something back, as TLS does.

use std::{
    io::{self, IoSlice},
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};

use crate::{transport::SocketTransport, watched::watched};

/// Each direction waits for the socket under a number of its own: whoever reads may have something to send on, and must not take away the waker of
/// another task that writes.
pub(super) struct TlsStream {
    transport: Box<dyn SocketTransport>,
    reading: AsyncFd<OwnedFd>,
    writing: AsyncFd<OwnedFd>,
}

impl TlsStream {
    pub(super) fn new(transport: Box<dyn SocketTransport>) -> io::Result<Self> {
        let number = || transport.as_fd().try_clone_to_owned();
        let reading = watched(number()?, Interest::READABLE | Interest::WRITABLE)?;
        let writing = watched(number()?, Interest::WRITABLE)?;
        Ok(Self { transport, reading, writing })
    }

    fn poll_writing<T>(&self, cx: &mut Context<'_>, mut act: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
        loop {
            let mut guard = ready!(self.writing.poll_write_ready(cx))?;
            if let Ok(outcome) = guard.try_io(|_| act()) {
                return Poll::Ready(outcome);
            }
        }
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &*self;
        loop {
            match this.transport.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            // What the reader has to send on goes when there is room, whoever asks for that.
            if this.transport.try_flush().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
                && let Poll::Ready(room) = this.reading.poll_write_ready(cx)
            {
                let mut room = room?;
                let _ = room.try_io(|_| this.transport.try_flush());
                continue;
            }
            let mut guard = ready!(this.reading.poll_read_ready(cx))?;
            let outcome = guard.try_io(|_| this.transport.try_read(buf.initialize_unfilled()));
            if let Ok(outcome) = outcome {
                buf.advance(outcome?);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, || self.transport.try_write(&[IoSlice::new(bytes)]))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_writing(cx, || self.transport.try_flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.end_writing()?;
        self.poll_writing(cx, || self.transport.try_flush())
    }
}
