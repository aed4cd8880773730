//! A listener that serves a stated number of connections, each of them for a stated time.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until},
};

/// How many connections are served at a time; more wait in the system's queue.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// How long one connection may take: it carries one request and its answer.
///
/// They count from its beginning, and no byte renews them. If one did, as many clients as there are places could hold them
/// all by a byte now and then, and nobody would learn any more how the server is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// Until the first byte of the answer is written.
    pub(super) request: Duration,
    /// Until everything is over.
    pub(super) whole: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { request: Duration::from_secs(10), whole: Duration::from_secs(30) }
    }
}

pub(super) struct Limited {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    deadlines: Deadlines,
}

impl Limited {
    /// Must be called inside a runtime.
    pub(super) fn new(listener: std::net::TcpListener, deadlines: Deadlines) -> io::Result<Self> {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        Ok(Self { listener: TcpListener::from_std(listener)?, permits, deadlines })
    }
}

impl Listener for Limited {
    type Io = Timed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Timed, SocketAddr) {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        // The listener's own accept logs an error and waits before it tries again.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let since = Instant::now();
        let end = Box::pin(sleep_until(since + self.deadlines.request));
        let stream = Timed { stream, end, whole: since + self.deadlines.whole, answering: false, _permit: permit };
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends in time, and its place among the connections.
pub(super) struct Timed {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    whole: Instant,
    answering: bool,
    _permit: OwnedSemaphorePermit,
}

impl Timed {
    /// An error once the time is up, whether or not bytes could be moved; else wakes the task then.
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.answering {
            self.answering = true;
            let whole = self.whole;
            self.end.as_mut().reset(whole);
        }
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
