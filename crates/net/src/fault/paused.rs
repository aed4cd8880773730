//! A process that stands still, and goes on in any case.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{Error, Kind};
use crosstie_sys::{ProcessHandle, process::is_stopped};

/// A process that is stopped as long as this lives: it is not dead, holds what it holds, and answers nobody.
///
/// For the time limits of others: a peer that is paused beyond them must be told from one that has died. It goes on when this is dropped, and also when this process ends
/// in whatever way: a small shell waits for that.
///
/// ```
/// use std::{io::{Read, Write}, process::{Command, Stdio}};
/// use crosstie_net::Paused;
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let paused = Paused::process(child.id())?;
/// child.stdin.take().expect("it was asked for").write_all(b"are you there?")?;
/// // Nothing comes now, however long one waits.
/// drop(paused);
/// let mut text = String::new();
/// child.stdout.take().expect("it was asked for").read_to_string(&mut text)?;
/// assert_eq!(text, "are you there?");
/// child.wait()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Paused {
    process: ProcessHandle,
    watchman: Child,
}

impl Paused {
    /// Stops the process that has the number `pid`. When it returns, the process stands still.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidInput`] if there is no such process or it is this one; [`Kind::Denied`] if it is not ours; [`Kind::Io`] if no shell can be started.
    pub fn process(pid: u32) -> Result<Self, Error> {
        if pid == std::process::id() {
            return Err(Error::new(Kind::InvalidInput, "a process that pauses itself cannot go on: name another"));
        }
        let Some(process) = ProcessHandle::open(pid)? else {
            return Err(Error::new(Kind::InvalidInput, format!("there is no process {pid}")));
        };
        // It reads until its input ends, which is when this is dropped or this process is gone.
        let watchman = Command::new("sh")
            .args(["-c", &format!("read -r _; kill -CONT {pid} 2>/dev/null")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Error::new(Kind::Io, "cannot start 'sh', which lets the process go on").because(error))?;
        // From here on it goes on in any case.
        let paused = Self { process, watchman };
        paused.process.stop()?;
        paused.wait_until_stopped(pid)?;
        Ok(paused)
    }

    /// The process, which is still there while it is paused unless somebody kills it.
    pub const fn handle(&self) -> &ProcessHandle {
        &self.process
    }

    /// A signal arrives a moment after it was sent.
    fn wait_until_stopped(&self, pid: u32) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        while !is_stopped(pid)? && !self.process.has_ended()? {
            if Instant::now() >= until {
                return Err(Error::new(Kind::Timeout, format!("process {pid} did not stop within {PATIENCE:?}")));
            }
            thread::yield_now();
        }
        Ok(())
    }
}

/// How long a process may take to stop.
const PATIENCE: Duration = Duration::from_secs(10);

impl Drop for Paused {
    fn drop(&mut self) {
        // Gone already is as good, and the watchman does the same.
        let _ = self.process.resume();
        drop(self.watchman.stdin.take());
        let _ = self.watchman.wait();
    }
}
