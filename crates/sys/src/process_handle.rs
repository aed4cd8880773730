//! A pidfd: a process that can be waited for and signalled without its number being reused underneath.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::ExitStatus,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    ioctl::{Opcode, Updater, ioctl, opcode},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// What the kernel tells of a process, as `struct pidfd_info` of `linux/pidfd.h` has it in its first version.
#[derive(Default)]
#[repr(C)]
struct Info {
    mask: u64,
    control_group: u64,
    /// Numbers of the process and its users.
    numbers: [u32; 11],
    exit_code: i32,
}

const _: () = assert!(size_of::<Info>() == 64);

impl Info {
    const EXIT: u64 = 1 << 3;
    const GET: Opcode = opcode::read_write::<Self>(0xff, 11);
}

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

    /// How the process has ended, whoever's child it was: once its parent has taken it away, from Linux 6.15 on. `None` before that, and on
    /// older kernels for ever.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        let mut info = Info { mask: Info::EXIT, ..Info::default() };
        // SAFETY: the kernel reads and writes as many bytes as the operation's number says, which is made of the size of `Info`; any bytes
        // are a valid `Info`. On a descriptor that is no pidfd, and on a kernel that knows no such operation, it fails.
        let told = unsafe { ioctl(&self.0, Updater::<{ Info::GET }, Info>::new(&mut info)) };
        (told.is_ok() && info.mask & Info::EXIT != 0).then(|| ExitStatus::from_raw(info.exit_code))
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
        assert_eq!(handle.exit_status(), None, "its parent does not know yet");
        let status = child.wait().unwrap();
        // An older kernel does not tell.
        assert!(handle.exit_status().is_none_or(|told| told == status && told.signal() == Some(9)));
        handle.kill().unwrap();
    }

    #[test]
    fn a_number_that_nobody_has_opens_nothing() {
        assert!(ProcessHandle::open(0).unwrap().is_none());
        assert!(ProcessHandle::open(u32::MAX).unwrap().is_none());
    }
}
