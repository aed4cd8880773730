//! An eventfd: a bell between processes that epoll, poll or tokio can wait for.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::{Errno, read, write},
};

/// A descriptor that is readable once somebody has rung it, until it is silenced. It can be sent to other processes.
#[derive(Debug)]
pub struct Signal(OwnedFd);

impl Signal {
    /// A silent bell.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// The bell behind a descriptor that another process sent.
    pub const fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Rings it. Ringing twice before it is silenced is ringing once.
    ///
    /// # Errors
    ///
    /// The operating system's, if the descriptor is no eventfd.
    #[allow(clippy::host_endian_bytes, reason = "the kernel reads the number on this very machine")]
    pub fn ring(&self) -> io::Result<()> {
        match write(&self.0, &1u64.to_ne_bytes()) {
            // The counter is full only if it rings already.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until it rings, `limit` has passed, or a signal handler ran.
    ///
    /// # Errors
    ///
    /// The operating system's.
    ///
    /// # Blocking
    ///
    /// While it is silent.
    pub fn wait(&self, limit: Option<Duration>) -> io::Result<()> {
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Silences it; true if it was ringing.
    ///
    /// # Errors
    ///
    /// The operating system's, if the descriptor is no eventfd.
    pub fn silence(&self) -> io::Result<bool> {
        match read(&self.0, &mut [0u8; 8]) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_until_silenced() {
        let signal = Signal::new().unwrap();
        assert!(!signal.silence().unwrap());
        signal.wait(Some(Duration::ZERO)).unwrap();
        signal.ring().unwrap();
        signal.ring().unwrap();
        signal.wait(None).unwrap();
        assert!(signal.silence().unwrap());
        assert!(!signal.silence().unwrap());
    }
}
