//! A connection of any scheme: who is there, what it can do, how it ends, and its faces for threads and for tokio.

use std::{
    io::{self, IoSlice, Read, Write},
    os::fd::{BorrowedFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crosstie_core::Error;
use crosstie_sys::Interest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};

#[cfg(feature = "tls")]
use crate::tls::Certificate;
use crate::{
    capabilities::Capabilities,
    fault::{FaultLine, FaultLog, FaultyStream, Splitter},
    life::{Facts, Life},
    lifeline::{Death, Lifeline},
    transport::{Armed, AsyncStream, Peer, Transport, patiently},
};

/// How long [`Connection::close`] waits for the peer's end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// An ordered stream of bytes to one peer, for threads: reads and writes block until they can go on or their time is up.
///
/// A shared reference reads and writes too, so that one thread reads while another writes. [`Connection::into_async`] gives the face for tokio.
/// Dropping it closes both directions; [`Connection::close`] waits until what was written has arrived.
pub struct Connection {
    transport: Box<dyn Transport>,
    facts: Facts,
    timeout: Option<Duration>,
    /// The faults that wait to be told what a frame is.
    meets: Option<FaultLine>,
}

impl Connection {
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        peer: Peer,
        lifeline: Lifeline,
        capabilities: &'static Capabilities,
    ) -> Self {
        let facts = Facts {
            peer,
            lifeline,
            capabilities,
            faults: None,
            #[cfg(feature = "tls")]
            certificate: None,
        };
        Self { transport, facts, timeout: Some(DEFAULT_TIMEOUT), meets: None }
    }

    /// The same connection, which is to meet faults.
    pub(crate) fn meet(mut self, line: FaultLine) -> Self {
        self.facts.faults = Some(line.log().clone());
        self.meets = Some(line);
        self
    }

    /// The same connection with the faults that its endpoint asked for, made on frames as `split` tells them, or on blocks of bytes. Does nothing where
    /// there are none, or they are made already.
    ///
    /// With frames, each write must begin with whole ones, and be repeated as it was after it has been told to wait.
    #[must_use]
    pub fn with_faults(mut self, split: Option<Splitter>) -> Self {
        if let Some(line) = self.meets.take() {
            self.transport = Box::new(FaultyStream::new(self.transport, line, split));
        }
        self
    }

    /// What was done to it on purpose so far, if faults are made here.
    pub const fn faults(&self) -> Option<&FaultLog> {
        self.facts.faults.as_ref()
    }

    /// The same connection, with what the peer has shown.
    #[cfg(feature = "tls")]
    pub(crate) fn with_certificate(mut self, certificate: Option<Arc<Certificate>>) -> Self {
        self.facts.certificate = certificate;
        self
    }

    /// Sets how long each read and write waits at most; 10 seconds unless set. `None` is without limit.
    pub const fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Who is at the other end.
    pub const fn peer(&self) -> Peer {
        self.facts.peer
    }

    /// The certificate with which the peer has proved who it is. `None` without TLS, and of a client that was not asked for one.
    #[cfg(feature = "tls")]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.facts.certificate.as_deref()
    }

    /// What this kind of connection can do.
    pub const fn capabilities(&self) -> &'static Capabilities {
        self.facts.capabilities
    }

    /// Ends the direction towards the peer, which reads what was written and then the end. The other direction goes on.
    ///
    /// # Errors
    ///
    /// The operating system's; `Unsupported` where [`Capabilities::half_close`] says so.
    pub fn end_writing(&self) -> io::Result<()> {
        self.transport.end_writing()?;
        self.sent(self.timeout)
    }

    /// Ends both directions.
    pub fn shutdown(&self) {
        self.transport.shutdown();
    }

    /// Ends it so that all arrives that was written: ends the direction towards the peer and throws away what still comes, until the peer has ended
    /// too, two seconds at most. Blocks meanwhile.
    ///
    /// A network connection that is dropped while the peer still says something is reset by the kernel, and what is on the way is lost. Over `tls:` a
    /// thread takes care of that for five seconds after a drop; before a process ends this does. Where the peer is on this machine, and over what goes one
    /// way, it is a drop.
    ///
    /// # Errors
    ///
    /// `TimedOut` if the peer did not end in time, which need not mean a loss; the operating system's.
    pub fn close(mut self) -> io::Result<()> {
        if !self.facts.capabilities.remote {
            return Ok(());
        }
        let until = Instant::now() + LAST_WORDS;
        self.timeout = Some(LAST_WORDS);
        self.end_writing()?;
        let mut scratch = [0; 4096];
        while self.read_within(&mut scratch, Some(until.saturating_duration_since(Instant::now())))? > 0 {
            if Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// The proof that the process at the other end has died, waiting for it at most `patience` ([`PATIENCE`](crate::PATIENCE) is enough once the connection
    /// has ended). `None` is no proof that it lives. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn death(&self, patience: Duration) -> io::Result<Option<Death>> {
        self.facts.lifeline.death(patience)
    }

    /// The error of a read or write, or of an end of stream that came too early, in the words of who must act: [`Kind::PeerDied`](crosstie_core::Kind::PeerDied) if the
    /// peer is proved to be dead, else [`Kind::Disconnected`](crosstie_core::Kind::Disconnected). Waits at most [`PATIENCE`](crate::PATIENCE) for the proof.
    pub fn explain(&self, error: io::Error) -> Error {
        self.facts.explain_now(error)
    }

    /// Writes all of `bytes` together with descriptors, of which the peer gets copies. It takes them with [`Connection::receive_passed`].
    ///
    /// # Errors
    ///
    /// As a write; `Unsupported` where [`Capabilities::descriptors`] says so.
    pub fn pass(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let sent = self.wait(Interest::Write, self.timeout, |transport| transport.try_pass(bytes, descriptors))?;
        (&mut &*self).write_all(&bytes[sent..])
    }

    /// Reads bytes, and the descriptors that came with them, which are closed on exec.
    ///
    /// # Errors
    ///
    /// As a read; `Unsupported` where [`Capabilities::descriptors`] says so.
    pub fn receive_passed(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        self.wait(Interest::Read, self.timeout, |transport| transport.try_take(buf))
    }

    /// The same connection for tokio. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn into_async(self) -> io::Result<AsyncConnection> {
        Ok(AsyncConnection { stream: self.transport.into_async()?, facts: Arc::new(self.facts) })
    }

    /// The bytes alone, which never block, for a reactor.
    pub fn into_transport(self) -> Box<dyn Transport> {
        self.transport
    }

    /// Reads what is there, waiting for it at most `timeout`, whatever was set for the others.
    ///
    /// # Errors
    ///
    /// The operating system's; `TimedOut`.
    pub fn read_within(&self, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        self.transport.read_within(buf, timeout)
    }

    /// Writes as much as fits, waiting for room at most `timeout`, whatever was set for the others.
    ///
    /// # Errors
    ///
    /// The operating system's; `TimedOut`.
    pub fn write_within(&self, bytes: &[u8], timeout: Option<Duration>) -> io::Result<usize> {
        self.write_some(&[IoSlice::new(bytes)], timeout)
    }

    /// Waits at most `timeout` until what was written has left. Most kinds keep nothing back.
    ///
    /// # Errors
    ///
    /// The operating system's; `TimedOut`.
    pub fn flush_within(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.sent(timeout)
    }

    fn write_some(&self, slices: &[IoSlice<'_>], timeout: Option<Duration>) -> io::Result<usize> {
        let count = self.wait(Interest::Write, timeout, |transport| transport.try_write(slices))?;
        // What was taken is written, whether or not it has left in time. Whoever writes more finds out.
        let _ = self.sent(timeout);
        Ok(count)
    }

    /// Waits until what was taken has left.
    fn sent(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.wait(Interest::Write, timeout, |transport| transport.try_flush())
    }

    /// Says what to [wait for with others](crate::wait_for_any), after a read has found nothing.
    ///
    /// # Errors
    ///
    /// The operating system's; `Unsupported` if it cannot be waited for with others.
    pub fn arm_reading(&self) -> io::Result<Armed<'_>> {
        self.transport.arm_reading()
    }

    fn wait<T>(
        &self,
        interest: Interest,
        timeout: Option<Duration>,
        mut act: impl FnMut(&dyn Transport) -> io::Result<T>,
    ) -> io::Result<T> {
        let transport = &*self.transport;
        patiently(timeout, || act(transport), |left| transport.wait_ready(interest, left))
    }
}

/// Of reads and writes whose time nobody has set.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl Read for &Connection {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_within(buf, self.timeout)
    }
}

impl Write for &Connection {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_some(slices, self.timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sent(self.timeout)
    }
}

impl Read for Connection {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for Connection {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

/// An ordered stream of bytes to one peer, for tokio.
///
/// It has no time limits of its own: put `tokio::time::timeout` around what waits.
pub struct AsyncConnection {
    stream: Box<dyn AsyncStream>,
    facts: Arc<Facts>,
}

/// The direction from the peer of a connection whose two directions go apart.
pub struct AsyncReader {
    stream: ReadHalf<Box<dyn AsyncStream>>,
    facts: Arc<Facts>,
}

/// The direction to the peer of a connection whose two directions go apart. Its end is told by `shutdown`.
pub struct AsyncWriter {
    stream: WriteHalf<Box<dyn AsyncStream>>,
    facts: Arc<Facts>,
}

impl AsyncConnection {
    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.facts.peer
    }

    /// The certificate with which the peer has proved who it is. `None` without TLS, and of a client that was not asked for one.
    #[cfg(feature = "tls")]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.facts.certificate.as_deref()
    }

    /// What this kind of connection can do.
    pub fn capabilities(&self) -> &'static Capabilities {
        self.facts.capabilities
    }

    /// As [`Connection::faults`].
    pub fn faults(&self) -> Option<&FaultLog> {
        self.facts.faults.as_ref()
    }

    /// As [`Connection::death`].
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn death(&self, patience: Duration) -> io::Result<Option<Death>> {
        self.facts.death_soon(patience).await
    }

    /// As [`Connection::explain`].
    pub fn explain(&self, error: io::Error) -> impl Future<Output = Error> + Send + use<> {
        // The stream itself may not be looked at by two threads.
        let facts = Arc::clone(&self.facts);
        async move { facts.explain(error).await }
    }

    /// What is known of who is at the other end, apart from the bytes.
    pub fn life(&self) -> Life {
        Life { facts: Arc::clone(&self.facts) }
    }

    /// As [`Connection::close`], without blocking.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    pub async fn close(mut self) -> io::Result<()> {
        if !self.facts.capabilities.remote {
            return Ok(());
        }
        let end = async {
            self.stream.shutdown().await?;
            let mut scratch = [0; 4096];
            while self.stream.read(&mut scratch).await? > 0 {}
            Ok(())
        };
        tokio::time::timeout(LAST_WORDS, end).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Both directions of one connection as one again. `None` if they are of two.
    pub fn unsplit(reader: AsyncReader, writer: AsyncWriter) -> Option<Self> {
        let is_one = reader.stream.is_pair_of(&writer.stream);
        is_one.then(|| Self { stream: reader.stream.unsplit(writer.stream), facts: reader.facts })
    }

    /// Both directions, for two tasks.
    pub fn into_split(self) -> (AsyncReader, AsyncWriter) {
        let (reader, writer) = tokio::io::split(self.stream);
        (
            AsyncReader { stream: reader, facts: Arc::clone(&self.facts) },
            AsyncWriter { stream: writer, facts: self.facts },
        )
    }
}

impl AsyncReader {
    /// As [`Connection::faults`].
    pub fn faults(&self) -> Option<&FaultLog> {
        self.facts.faults.as_ref()
    }

    /// As [`Connection::explain`].
    pub fn explain(&self, error: io::Error) -> impl Future<Output = Error> + Send + use<> {
        // The stream itself may not be looked at by two threads.
        let facts = Arc::clone(&self.facts);
        async move { facts.explain(error).await }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.facts.peer
    }

    /// As [`Connection::certificate`].
    #[cfg(feature = "tls")]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.facts.certificate.as_deref()
    }
}

impl AsyncWriter {
    /// As [`Connection::explain`].
    pub fn explain(&self, error: io::Error) -> impl Future<Output = Error> + Send + use<> {
        // The stream itself may not be looked at by two threads.
        let facts = Arc::clone(&self.facts);
        async move { facts.explain(error).await }
    }
}

impl AsyncRead for AsyncReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for AsyncWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for AsyncConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for AsyncConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
