//! A child that is driven one instruction at a time.

use std::io;
use std::ptr;
use std::time::Instant;

use super::child::{Child, Ended, ended, fork, wait_status};

/// Why a traced child stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It ran into a [`mark`], or made the one step that it was allowed.
    Trap,
    /// A signal is about to reach it.
    Signal(i32),
    /// It is gone.
    Ended(Ended),
    /// It had not stopped by the deadline: it waits for something in the kernel, or runs.
    Busy,
}

/// A child under `ptrace`, standing still except inside [`run_to_mark`](Self::run_to_mark) and [`step`](Self::step).
#[derive(Debug)]
pub struct Traced {
    child: Child,
}

/// What a child leaves with that may not be traced.
const REFUSED: u8 = 78;

/// Stops the calling process if it is traced. It must be: otherwise this is its end.
#[inline(always)]
pub fn mark() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a breakpoint touches neither memory nor registers; the tracer lets the process go on behind it.
    unsafe {
        std::arch::asm!("int3", options(nomem, nostack, preserves_flags));
    }
    // Elsewhere a breakpoint instruction would be met again when the process goes on.
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: `raise` has no preconditions.
    unsafe {
        libc::raise(libc::SIGTRAP);
    }
}

impl Traced {
    /// Forks a child that will run `body` and stands still before it. It dies with its tracer.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` where tracing is not allowed; what [`fork`] refuses.
    pub fn fork(body: impl FnOnce() -> u8) -> io::Result<Self> {
        let child = fork(|| {
            // SAFETY: a request without pointers, and a signal to oneself.
            unsafe {
                if libc::ptrace(libc::PTRACE_TRACEME, 0, ptr::null_mut::<u8>(), ptr::null_mut::<u8>()) != 0 {
                    return REFUSED;
                }
                libc::raise(libc::SIGSTOP);
            }
            body()
        })?;
        let traced = Self { child };
        loop {
            match wait_status(traced.child.pid(), 0)? {
                Some(status) if libc::WIFSTOPPED(status) => break,
                Some(_) => return Err(io::Error::from(io::ErrorKind::PermissionDenied)),
                None => {}
            }
        }
        traced.request(libc::PTRACE_SETOPTIONS, libc::PTRACE_O_EXITKILL as usize)?;
        Ok(traced)
    }

    /// Lets it run until it stops by itself, or until `deadline` (looked at once per [`tick`](super::tick)).
    ///
    /// # Errors
    ///
    /// What `ptrace` and `waitpid` refuse.
    pub fn run_to_mark(&mut self, deadline: Instant) -> io::Result<Stop> {
        self.request(libc::PTRACE_CONT, 0)?;
        self.stopped(deadline)
    }

    /// Lets it run one instruction; a system call is one, and so is each turn of a repeated string instruction.
    ///
    /// # Errors
    ///
    /// What `ptrace` and `waitpid` refuse.
    pub fn step(&mut self, deadline: Instant) -> io::Result<Stop> {
        self.request(libc::PTRACE_SINGLESTEP, 0)?;
        self.stopped(deadline)
    }

    /// Waits on for one that was [`Stop::Busy`].
    ///
    /// # Errors
    ///
    /// What `waitpid` refuses.
    pub fn stopped(&mut self, deadline: Instant) -> io::Result<Stop> {
        loop {
            let Some(status) = wait_status(self.child.pid(), 0)? else {
                if Instant::now() >= deadline {
                    return Ok(Stop::Busy);
                }
                continue;
            };
            if let Some(how) = ended(status) {
                self.child.note_end(how);
                return Ok(Stop::Ended(how));
            }
            return Ok(match libc::WSTOPSIG(status) {
                libc::SIGTRAP => Stop::Trap,
                signal => Stop::Signal(signal),
            });
        }
    }

    /// Kills it where it stands.
    ///
    /// # Errors
    ///
    /// What `kill` and `waitpid` refuse.
    pub fn kill(&mut self) -> io::Result<Ended> {
        self.child.kill()
    }

    /// The id under which this process knows it.
    pub fn pid(&self) -> i32 {
        self.child.pid()
    }

    fn request(&self, request: libc::c_uint, data: usize) -> io::Result<()> {
        // SAFETY: the requests made here read or write no memory of this process: their last argument is a number.
        let answer = unsafe { libc::ptrace(request, self.child.pid(), ptr::null_mut::<u8>(), data) };
        if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
