//! A child with a stream of its own to its parent, besides its standard input and output.

use std::{
    fmt, io,
    os::unix::net::UnixStream,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use crosstie_core::instant_after;
use crosstie_sys::Inheritance;

use crate::{
    capabilities,
    connection::Connection,
    lifeline::{Lifeline, OwnChild},
    socket::unix::UnixTransport,
    transport::Peer,
};

/// A child that this process has started: its number, its end. It is taken away when it ends, whether anybody waits for it or not, and is not killed when this is
/// dropped.
#[derive(Clone)]
pub struct ChildProcess {
    id: u32,
    own: Arc<OwnChild>,
}

impl ChildProcess {
    /// Its process id, which is its own at least as long as this value lives.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, waiting for that at most `timeout`; `None` if it lives. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn wait(&self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let until = instant_after(Instant::now(), timeout);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.own.handle().wait(left)? {
                return self.own.status();
            }
            // A signal ends a wait early.
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Kills it (SIGKILL). One that has ended is left as it is.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn kill(&self) -> io::Result<()> {
        self.own.kill()
    }
}

impl fmt::Debug for ChildProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildProcess").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Starts a command with what `inheritance` gives it and one thing more: a Unix socket to this process. `tell` is told the number under which the child finds it, and
/// says it to the command, by an argument or in its environment; the child opens `fd:NUMBER`. That its end is proved comes by its exit status; the child's
/// proof of this process's death by its pidfd.
///
/// The child is started by a thread that lives as long as this process, so that what [`Inheritance::die_with_parent`] promises holds for the process and not for
/// whoever calls this.
///
/// # Errors
///
/// As [`Command::spawn`], and the operating system's for want of descriptors.
pub fn spawn_with_stream(
    mut command: Command,
    mut inheritance: Inheritance,
    tell: impl FnOnce(&mut Command, u32),
) -> io::Result<(Connection, ChildProcess)> {
    let (own, theirs) = UnixStream::pair()?;
    let number = inheritance.give(&theirs)?;
    tell(&mut command, number);
    let child = on_lasting_thread(command, inheritance)?;
    // From here on the child alone has its end.
    drop(theirs);
    let id = child.id();
    let own_child = Arc::new(OwnChild::new(child)?);
    let lifeline = Lifeline::Child(Arc::clone(&own_child));
    let connection =
        Connection::new(Box::new(UnixTransport::new(own)?), Peer::Child(id), lifeline, &capabilities::CHILD);
    Ok((connection, ChildProcess { id, own: own_child }))
}

type Job = (Command, Inheritance, mpsc::SyncSender<io::Result<Child>>);

/// The thread that starts children, and the process that it belongs to: a process that forks has none of its parent's threads.
struct Starter {
    process: u32,
    jobs: mpsc::Sender<Job>,
}

fn on_lasting_thread(command: Command, inheritance: Inheritance) -> io::Result<Child> {
    static STARTER: Mutex<Option<Starter>> = Mutex::new(None);
    let (answer, child) = mpsc::sync_channel(1);
    {
        let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
        if starter.as_ref().is_none_or(|starter| starter.process != std::process::id()) {
            *starter = Some(start()?);
        }
        let jobs = &starter.as_ref().expect("it was just started").jobs;
        jobs.send((command, inheritance, answer)).expect("the thread ends with the process");
    }
    child.recv().expect("the thread answers each job")
}

fn start() -> io::Result<Starter> {
    let (jobs, receive) = mpsc::channel::<Job>();
    thread::Builder::new().name("crosstie-starter".into()).spawn(move || {
        for (command, inheritance, answer) in receive {
            // Nobody is left to hear it only where the caller has panicked.
            let _ = answer.send(inheritance.spawn(command));
        }
    })?;
    Ok(Starter { process: std::process::id(), jobs })
}
