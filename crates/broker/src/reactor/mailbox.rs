//! What other threads ask of a reactor, and how it hears of it.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crosstie_net::{Peer, SocketTransport};
use crosstie_sys::{Poller, Waker};

use super::entry::Entry;

/// The token of the bell.
pub(super) const WAKE: u64 = u64::MAX;

/// What other threads ask of a reactor.
pub(crate) enum Command {
    /// Take over an accepted connection.
    Adopt(Box<dyn SocketTransport>, Peer),
    /// Take over a connection that has become busy, or is so no more.
    TakeOver(Box<Entry>),
    /// A password has been checked.
    Checked { token: u64, is_right: bool },
    /// Tell every client that this server leaves.
    LameDuck,
    /// Accept no more.
    StopListening,
    /// Close everything and end.
    Stop,
}

/// The way to reach a reactor from any thread.
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    pub(super) waker: Waker,
    pub(super) poller: Arc<Poller>,
}

#[derive(Default)]
struct Letters {
    commands: VecDeque<Command>,
    /// Nobody reads them any more.
    has_ended: bool,
}

impl Mailbox {
    pub(crate) fn new() -> io::Result<Self> {
        let poller = Arc::new(Poller::new()?);
        let waker = Waker::new(&poller, WAKE)?;
        Ok(Self { letters: Mutex::default(), waker, poller })
    }

    pub(crate) fn send(&self, command: Command) {
        // Whoever has ended has nothing left to do.
        let _ = self.post(command);
    }

    /// Gives the command back if the reactor has ended.
    pub(super) fn post(&self, command: Command) -> Result<(), Command> {
        let mut letters = self.lock();
        if letters.has_ended {
            return Err(command);
        }
        letters.commands.push_back(command);
        drop(letters);
        self.waker.wake();
        Ok(())
    }

    pub(super) fn take(&self) -> VecDeque<Command> {
        std::mem::take(&mut self.lock().commands)
    }

    /// What has come until now, and nothing more comes.
    pub(super) fn end(&self) -> VecDeque<Command> {
        let mut letters = self.lock();
        letters.has_ended = true;
        std::mem::take(&mut letters.commands)
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
