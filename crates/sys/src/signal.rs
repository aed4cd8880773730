//! An eventfd: a bell between processes that epoll, poll or tokio can wait for.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::{FileType, fstat},
    io::{Errno, ReadWriteFlags, ioctl_fionbio, preadv2, read, write},
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

    /// The bell behind a descriptor that another process sent. Whoever else has it can change how it works at any time, so it is rung by
    /// [`Self::ring_warily`].
    ///
    /// # Errors
    ///
    /// `InvalidData` if it is a file, a pipe, a socket, or whatever else has a type: writing there is not ours to do, and reading may take as long as it likes.
    pub fn of_peer(descriptor: OwnedFd) -> io::Result<Self> {
        // What the kernel makes without a file has no type of file.
        if FileType::from_raw_mode(fstat(&descriptor)?.st_mode) != FileType::Unknown {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "expected an eventfd as a bell"));
        }
        ioctl_fionbio(&descriptor, true)?;
        Ok(Self(descriptor))
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

    /// Rings one that another process has, too, and may have made block: it is rung only where that takes no time.
    ///
    /// # Errors
    ///
    /// As [`Self::ring`].
    pub fn ring_warily(&self) -> io::Result<()> {
        match poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], Some(&AT_ONCE)) {
            Ok(1..) => self.ring(),
            // Full: it rings already.
            _ => Ok(()),
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

    /// Silences it; true if it was ringing. Never blocks, whatever others who have it have done to it.
    ///
    /// # Errors
    ///
    /// The operating system's, if the descriptor is no eventfd.
    pub fn silence(&self) -> io::Result<bool> {
        let mut count = [0u8; 8];
        match preadv2(&self.0, &mut [IoSliceMut::new(&mut count)], NO_POSITION, ReadWriteFlags::NOWAIT) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(Errno::OPNOTSUPP) if self.is_ringing()? => Ok(read(&self.0, &mut count).is_ok()),
            Err(Errno::OPNOTSUPP) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn is_ringing(&self) -> io::Result<bool> {
        Ok(poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&AT_ONCE))? > 0)
    }
}

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// What preadv2(2) takes for "where it stands", as for what has no positions.
const NO_POSITION: u64 = u64::MAX;

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

    /// What another process may do to a bell that both have.
    #[test]
    #[allow(clippy::host_endian_bytes, reason = "the kernel reads the number on this very machine")]
    fn one_that_was_made_to_block_holds_nobody_up() {
        let signal = Signal::new().unwrap();
        ioctl_fionbio(&signal, false).unwrap();
        assert!(!signal.silence().unwrap(), "it is silent, and nobody waits");
        write(&signal, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        signal.ring_warily().unwrap();
        assert!(signal.silence().unwrap());
        signal.ring_warily().unwrap();
        assert!(signal.silence().unwrap(), "the control: it rings");
    }

    #[test]
    fn what_is_no_eventfd_is_no_bell() {
        let (reader, writer) = io::pipe().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        for other in [OwnedFd::from(reader), writer.into(), file.into()] {
            assert_eq!(Signal::of_peer(other).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let bell = Signal::of_peer(Signal::new().unwrap().0).unwrap();
        bell.ring_warily().unwrap();
        assert!(bell.silence().unwrap());
    }
}
