//! Forked children: how one begins, is killed, and ends.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It left with this code.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
}

/// A child process, killed and reaped when dropped.
#[derive(Debug)]
pub struct Child {
    /// Whom to wait for.
    waited: i32,
    /// Whom to send signals to: another than `waited` when a child of the child does the work (see `namespace`).
    target: i32,
    ended: Option<Ended>,
}

/// What a child leaves with when its body panics.
const PANICKED: i32 = 101;

/// Runs `body` in a forked child, which leaves with the code that `body` returns (101 if it panics) and dies with this thread.
///
/// # Errors
///
/// `ResourceBusy` if this process has more than one thread: the child would inherit locks whose holders do not exist in it.
pub fn fork(body: impl FnOnce() -> u8) -> io::Result<Child> {
    require_one_thread()?;
    // SAFETY: `getpid` has no preconditions.
    let parent = unsafe { libc::getpid() };
    // SAFETY: this process has one thread (checked above), so the child is a whole copy and may do whatever its parent may.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => leave(|| {
            // SAFETY: plain calls without pointers.
            let orphan = unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::getppid() != parent
            };
            if orphan { 0 } else { body() }
        }),
        pid => Ok(Child { waited: pid, target: pid, ended: None }),
    }
}

/// Runs `body` and ends the process without running what was registered for its end: that belongs to the parent.
pub(super) fn leave(body: impl FnOnce() -> u8) -> ! {
    let code = catch_unwind(AssertUnwindSafe(body)).map_or(PANICKED, i32::from);
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

fn require_one_thread() -> io::Result<()> {
    let threads = fs::metadata("/proc/self/task").map(|entry| std::os::unix::fs::MetadataExt::nlink(&entry))?;
    // A folder has two links of its own, and one more for each thread in it.
    if threads > 3 {
        return Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!(
                "expected a process with one thread to fork, got {}; run this in a program of its own",
                threads - 2
            ),
        ));
    }
    Ok(())
}

/// Sets a variable of the environment, for what this process does from now on.
///
/// # Errors
///
/// `ResourceBusy` if this process has more than one thread: another may be reading it.
pub fn set_variable(name: &str, value: impl AsRef<std::ffi::OsStr>) -> io::Result<()> {
    require_one_thread()?;
    // SAFETY: there is no other thread that could read or write the environment meanwhile (checked above).
    unsafe { std::env::set_var(name, value) };
    Ok(())
}

impl Child {
    /// A child whose work is done by another process, `target`, which ends when `waited` ends and the other way round.
    pub(super) fn standing_for(mut self, target: i32) -> Self {
        self.target = target;
        self
    }

    /// The id under which this process knows it.
    pub fn pid(&self) -> i32 {
        self.target
    }

    /// Sends a signal; one that has ended and was reaped gets none.
    ///
    /// # Errors
    ///
    /// What `kill` refuses.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        if self.ended.is_some() { Ok(()) } else { kill(self.target, signal) }
    }

    /// Lets it go on after [`Act::Stop`](super::Act::Stop).
    ///
    /// # Errors
    ///
    /// What `kill` refuses.
    pub fn go_on(&self) -> io::Result<()> {
        self.signal(libc::SIGCONT)
    }

    /// Kills it and waits until the kernel has taken it away; says how it had ended.
    ///
    /// # Errors
    ///
    /// What `kill` and `waitpid` refuse.
    pub fn kill(&mut self) -> io::Result<Ended> {
        self.signal(libc::SIGKILL)?;
        loop {
            if let Some(ended) = self.wait(0)? {
                return Ok(ended);
            }
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// What `waitpid` refuses.
    pub fn try_wait(&mut self) -> io::Result<Option<Ended>> {
        self.wait(libc::WNOHANG)
    }

    /// Waits until it has ended; `None` when it has not by `deadline`. Looks at the clock once per [`tick`](super::tick).
    ///
    /// # Errors
    ///
    /// What `waitpid` refuses.
    pub fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<Ended>> {
        loop {
            match self.wait(0)? {
                None if Instant::now() >= deadline => return Ok(None),
                None => {}
                ended => return Ok(ended),
            }
        }
    }

    /// One `waitpid`; `None` when it was interrupted, or when there is nothing yet.
    fn wait(&mut self, flags: i32) -> io::Result<Option<Ended>> {
        if self.ended.is_none() {
            self.ended = wait_status(self.waited, flags)?.and_then(ended);
        }
        Ok(self.ended)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // A child that is gone already is what is wanted.
            let _ = self.kill();
        }
    }
}

/// One `waitpid`; `None` when it was interrupted or nothing has happened.
pub(super) fn wait_status(pid: i32, flags: i32) -> io::Result<Option<i32>> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    match unsafe { libc::waitpid(pid, &mut status, flags) } {
        0 => Ok(None),
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            error => Err(error),
        },
        _ => Ok(Some(status)),
    }
}

fn ended(status: i32) -> Option<Ended> {
    if libc::WIFEXITED(status) {
        Some(Ended::Exited(libc::WEXITSTATUS(status)))
    } else if libc::WIFSIGNALED(status) {
        Some(Ended::Killed(libc::WTERMSIG(status)))
    } else {
        None
    }
}

/// Sends a signal to a process that is known by its id; one that is gone is no error.
///
/// # Errors
///
/// What `kill` refuses.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: `kill` takes no pointers.
    if unsafe { libc::kill(pid, signal) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

/// Kills and takes away a process that is not a [`Child`]: an orphan, once [`become_reaper_of_orphans`] was called.
///
/// # Errors
///
/// What `kill` and `waitpid` refuse.
pub fn take_away(pid: i32) -> io::Result<()> {
    kill(pid, libc::SIGKILL)?;
    loop {
        match wait_status(pid, 0) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Whether a process sleeps in the kernel, as one does that waits for a lock; false for one that is gone.
pub fn is_asleep(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}

/// Makes this process the parent of its children's orphans, so that it can take away what they leave behind.
///
/// # Errors
///
/// What `prctl` refuses.
pub fn become_reaper_of_orphans() -> io::Result<()> {
    // SAFETY: a plain call without pointers.
    match unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The cores that a process may use.
#[derive(Clone, Debug)]
pub struct Cores(CpuSet);

/// Keeps this thread, and the children that it forks, on one core, counted from 0 among those it may use. Returns those, for [`unpin`].
///
/// # Errors
///
/// What `sched_setaffinity` refuses.
pub fn pin_to_core(index: usize) -> io::Result<Cores> {
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let mut one = CpuSet::new();
    one.set(cores[index % cores.len().max(1)]);
    sched_setaffinity(None, &one)?;
    Ok(Cores(allowed))
}

/// Gives this thread its cores back.
///
/// # Errors
///
/// What `sched_setaffinity` refuses.
pub fn unpin(cores: &Cores) -> io::Result<()> {
    Ok(sched_setaffinity(None, &cores.0)?)
}
