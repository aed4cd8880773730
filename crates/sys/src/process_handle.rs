//! A pidfd: a process that can be waited for and signalled without its number being reused underneath.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// A process, whatever becomes of its number. The descriptor is readable once the process has ended.
///
/// It wakes, it never decides: between reading a number and opening it the process may have ended and the number may be another's. Check what
/// was opened (start time, lock) after opening it.
#[derive(Debug)]
pub struct ProcessHandle(OwnedFd);

impl ProcessHandle {
    /// The process that has the number `pid` now, in this PID namespace; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors.
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => Ok(Some(Self(descriptor))),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The process behind a pidfd that the kernel or another process gave.
    pub const fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Waits until the process has ended, at most `limit`; true if it has. A signal ends the wait as if the time was up.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn wait(&self, limit: Duration) -> io::Result<bool> {
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// True if the process has ended. Does not wait.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn has_ended(&self) -> io::Result<bool> {
        self.wait(Duration::ZERO)
    }

    /// Kills it. That it has ended already is no error.
    ///
    /// # Errors
    ///
    /// `PermissionDenied`, and others of the operating system.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Stops it, until [`Self::resume`]. That it has ended already is no error.
    ///
    /// # Errors
    ///
    /// As [`Self::kill`].
    pub fn stop(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on. That it was not stopped, or has ended already, is no error.
    ///
    /// # Errors
    ///
    /// As [`Self::kill`].
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for ProcessHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_end_of_a_process_is_seen_before_it_is_reaped() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let handle = ProcessHandle::open(child.id()).unwrap().unwrap();
        assert!(!handle.has_ended().unwrap());
        handle.kill().unwrap();
        let mut polled = [PollFd::new(&handle, PollFlags::IN)];
        let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
        assert_eq!(poll(&mut polled, Some(&limit)).unwrap(), 1);
        assert!(handle.has_ended().unwrap());
        child.wait().unwrap();
        handle.kill().unwrap();
    }

    #[test]
    fn a_number_that_nobody_has_opens_nothing() {
        assert!(ProcessHandle::open(0).unwrap().is_none());
        assert!(ProcessHandle::open(u32::MAX).unwrap().is_none());
    }
}
