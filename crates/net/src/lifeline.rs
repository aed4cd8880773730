//! What is known of the life of the process at the other end, and what proves its death.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    process::{Child, ExitStatus},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use crosstie_core::instant_after;
use crosstie_sys::{Interest, PeerLife, Poller, ProcessHandle, Waker, peer_life};

/// How the process at the other end is known to have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Death {
    /// It has ended; its parent knows how.
    Ended,
    /// It has ended so: a child of this process, or a process of which [`Life::death`](crate::Life::death) could tell.
    Exited(ExitStatus),
}

/// The hold on the life of one process.
pub(crate) enum Lifeline {
    /// Nothing can be known.
    None,
    /// A process to watch.
    Process(ProcessHandle),
    /// It had ended before anybody could watch it.
    Ended,
    /// A child of ours.
    Child(Arc<OwnChild>),
}

impl Lifeline {
    /// That of a Unix socket's peer.
    pub(crate) fn of_peer(socket: impl AsFd) -> io::Result<Self> {
        Ok(match peer_life(socket)? {
            PeerLife::Watched(process) => Self::Process(process),
            PeerLife::Ended => Self::Ended,
            PeerLife::Unknown => Self::None,
        })
    }

    /// The proof of death, waiting for it at most `patience`. Blocks meanwhile.
    ///
    /// The kernel closes the descriptors of a process that dies a little before it calls it dead.
    pub(crate) fn death(&self, patience: Duration) -> io::Result<Option<Death>> {
        let until = instant_after(Instant::now(), patience);
        match self {
            Self::None => Ok(None),
            Self::Ended => Ok(Some(Death::Ended)),
            Self::Process(process) => Ok(has_ended(process, until)?.then_some(Death::Ended)),
            Self::Child(child) => {
                if has_ended(&child.handle, until)? {
                    child.status().map(|status| status.map(Death::Exited))
                } else {
                    Ok(None)
                }
            }
        }
    }

    /// How a process that is no child of ours has ended, if the kernel tells yet.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        match self {
            Self::Process(process) => process.exit_status(),
            _ => None,
        }
    }

    /// What becomes readable when the process has ended.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::None | Self::Ended => None,
            Self::Process(process) => Some(process.as_fd()),
            Self::Child(child) => Some(child.handle.as_fd()),
        }
    }
}

fn has_ended(process: &ProcessHandle, until: Instant) -> io::Result<bool> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // A signal ends a wait early.
        if process.wait(left)? {
            return Ok(true);
        }
        if left.is_zero() {
            return Ok(false);
        }
    }
}

/// A child that is taken away once it has ended, whether anybody still looks or not.
pub(crate) struct OwnChild {
    handle: ProcessHandle,
    child: Mutex<Option<Child>>,
}

impl OwnChild {
    pub(crate) fn new(child: Child) -> io::Result<Self> {
        // Nobody has waited for it, so the number is still its own.
        let handle = ProcessHandle::open(child.id())?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the child is gone before it was waited for"))?;
        Ok(Self { handle, child: Mutex::new(Some(child)) })
    }

    pub(crate) const fn handle(&self) -> &ProcessHandle {
        &self.handle
    }

    /// Kills it, unless it has been taken away.
    pub(crate) fn kill(&self) -> io::Result<()> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_mut().map_or(Ok(()), Child::kill)
    }

    pub(crate) fn status(&self) -> io::Result<Option<ExitStatus>> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_mut().map_or(Ok(None), Child::try_wait)
    }
}

impl Drop for OwnChild {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut child) = child else { return };
        // Its input has ended, and what it makes of that takes the time it takes. It may still have output to write elsewhere, so it is not
        // killed; but somebody has to take it away.
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        leave_to_undertaker(child);
    }
}

/// Hands a child that lives on to one thread, which takes each of them away when it ends.
fn leave_to_undertaker(child: Child) {
    static UNDERTAKER: Mutex<Option<Undertaker>> = Mutex::new(None);
    let mut undertaker = UNDERTAKER.lock().unwrap_or_else(PoisonError::into_inner);
    if undertaker.is_none() {
        *undertaker = Undertaker::start().ok();
    }
    // Without descriptors for a thread there is none; then the child stays a zombie until this process ends.
    if let Some(Undertaker { send, bell }) = undertaker.as_ref()
        && send.send(child).is_ok()
    {
        bell.wake();
    }
}

struct Undertaker {
    send: mpsc::Sender<Child>,
    bell: Arc<Waker>,
}

const BELL: u64 = u64::MAX;

impl Undertaker {
    fn start() -> io::Result<Self> {
        let poller = Poller::new()?;
        let bell = Arc::new(Waker::new(&poller, BELL)?);
        let rung = Arc::clone(&bell);
        let (send, receive) = mpsc::channel::<Child>();
        thread::Builder::new().name("crosstie-undertaker".into()).spawn(move || {
            let mut children: Vec<(Child, ProcessHandle)> = Vec::new();
            let mut events = Vec::new();
            while poller.wait(&mut events, None).is_ok() {
                rung.reset();
                for mut child in receive.try_iter() {
                    match watched(&poller, &child) {
                        Ok(handle) => children.push((child, handle)),
                        // Better one thread that waits than a zombie.
                        Err(_) => drop(child.wait()),
                    }
                }
                // Dropping the handle takes it out of the poller.
                children.retain_mut(|(child, _)| matches!(child.try_wait(), Ok(None)));
            }
        })?;
        Ok(Self { send, bell })
    }
}

fn watched(poller: &Poller, child: &Child) -> io::Result<ProcessHandle> {
    let handle = ProcessHandle::open(child.id())?.ok_or(io::ErrorKind::NotFound)?;
    poller.add(&handle, u64::from(child.id()), Interest::Read)?;
    Ok(handle)
}
