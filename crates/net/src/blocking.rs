//! The face of a connection for a thread: reads and writes that wait.

use std::{
    io::{self, IoSlice, Read, Write},
    time::{Duration, Instant},
};

use crosstie_core::instant_after;
use crosstie_sys::Interest;

use crate::transport::Transport;

/// A two-way stream of bytes for a thread. Each read and write blocks until it can go on, or its time is up.
pub struct BlockingStream {
    transport: Box<dyn Transport>,
    timeout: Option<Duration>,
}

impl BlockingStream {
    /// A face for a connection, accepted ones too. Without a `timeout` its reads and writes wait without limit.
    pub fn new(transport: Box<dyn Transport>, timeout: Option<Duration>) -> Self {
        Self { transport, timeout }
    }

    /// Sets how long each read and write waits at most from now on.
    pub const fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Ends both directions.
    pub fn shutdown(&self) {
        self.transport.shutdown();
    }

    /// The connection itself, which never blocks.
    pub fn into_inner(self) -> Box<dyn Transport> {
        self.transport
    }

    fn wait<T>(&self, interest: Interest, mut act: impl FnMut(&dyn Transport) -> io::Result<T>) -> io::Result<T> {
        let until = self.timeout.map(|timeout| instant_after(Instant::now(), timeout));
        loop {
            match act(&*self.transport) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.transport.wait_ready(interest, left)?;
        }
    }
}

impl Read for BlockingStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait(Interest::Read, |transport| transport.try_read(buf))
    }
}

impl Write for BlockingStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = self.wait(Interest::Write, |transport| transport.try_write(slices))?;
        // What was taken is written, whether or not it has left in time.
        let _ = self.flush();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait(Interest::Write, |transport| transport.try_flush())
    }
}
