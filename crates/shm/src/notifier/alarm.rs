//! `Notifier`: one descriptor for everything that a process waits for. And whoever else may be told.

use std::{
    collections::BTreeSet,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use crosstie_sys::{Incarnation, Signal};

use crate::error::{Error, Result};

/// One descriptor that is readable while something that was armed with it may be ready, for epoll, poll or any runtime.
///
/// One is enough for a process, or for each of its event loops: an object is armed under a *key* of the caller's choice, and
/// [`take_ready`](Self::take_ready) says which keys to look at. An arming is good for one wake. It tells that the object *may* be
/// ready: what a key says is found out by acting on the object, which arms it again if there is nothing.
///
/// ```
/// use crosstie_shm::{Notifier, ReceiveError, Ring};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (orders, prices) = (Ring::<u64>::anonymous(16)?, Ring::<u64>::anonymous(16)?);
/// let (mut first, mut second) = (orders.receiver()?, prices.receiver()?);
/// let mut elsewhere = prices.sender()?;
///
/// let notifier = Notifier::new()?;
/// assert!(!first.arm(&notifier, 1)?, "nothing is there yet");
/// assert!(!second.arm(&notifier, 2)?);
/// elsewhere.try_send(7)?;
/// // Here an event loop waits for the descriptor to be readable, beside its sockets.
/// let ready = notifier.wait(crosstie_shm::deadline_after(std::time::Duration::from_secs(10)))?;
/// assert_eq!(ready, [2]);
/// assert_eq!(second.try_receive()?, 7);
/// # Ok(())
/// # }
/// ```
///
/// # Fork
///
/// The child inherits the descriptor and shares it with its parent. It gets [`Error::Forked`] from every act and makes one of its own.
#[derive(Clone, Debug)]
pub struct Notifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    signal: Signal,
    /// Keys that were rung and not taken yet: at most one for each key.
    ready: Mutex<BTreeSet<u64>>,
    incarnation: Incarnation,
}

impl Notifier {
    /// A new descriptor, with nothing armed.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors.
    pub fn new() -> Result<Self> {
        let signal = Signal::new().map_err(Error::system("making a descriptor to wait on"))?;
        let incarnation = Incarnation::current().map_err(Error::system("telling this process from its children"))?;
        Ok(Self(Arc::new(Inner { signal, ready: Mutex::default(), incarnation })))
    }

    /// The keys that were rung since the last time, in order, each once. The descriptor is not readable any more until another is rung. Never waits.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`] in a child of fork.
    pub fn take_ready(&self) -> Result<Vec<u64>> {
        self.check()?;
        let mut ready = self.lock();
        self.0.signal.silence().map_err(Error::system("silencing a descriptor to wait on"))?;
        Ok(std::mem::take(&mut *ready).into_iter().collect())
    }

    /// As [`take_ready`](Self::take_ready), waiting until `deadline` for a key to be rung; none if none was.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`] in a child of fork; the operating system's.
    ///
    /// # Blocking
    ///
    /// While no key is rung.
    pub fn wait(&self, deadline: crosstie_core::Deadline) -> Result<Vec<u64>> {
        self.check()?;
        loop {
            let ready = self.take_ready()?;
            let now = crate::clock::now();
            if !ready.is_empty() || deadline.expired(now) {
                return Ok(ready);
            }
            let left = deadline.instant().map(|until| until.since(now));
            self.0.signal.wait(left).map_err(Error::system("waiting on a descriptor"))?;
        }
    }

    fn check(&self) -> Result<()> {
        if self.0.incarnation.is_current() {
            return Ok(());
        }
        Err(Error::Forked { segment: "(all that was armed)".to_owned() })
    }

    fn ring(&self, key: u64) {
        let mut ready = self.lock();
        let was_silent = ready.is_empty();
        ready.insert(key);
        if was_silent {
            // An eventfd of our own that is open takes a number.
            let _ = self.0.signal.ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.0.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.signal.as_fd()
    }
}

impl AsRawFd for Notifier {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Whom to tell once.
#[derive(Clone, Debug)]
pub(crate) enum Alarm {
    Key(Notifier, u64),
    Task(Waker),
}

impl Alarm {
    /// Tells.
    pub(super) fn ring(self) {
        match self {
            Self::Key(notifier, key) => notifier.ring(key),
            Self::Task(waker) => waker.wake(),
        }
    }
}
