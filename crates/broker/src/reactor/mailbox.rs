//! What other threads ask of a reactor, and how it hears of it.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use crosstie_net::{Peer, SocketTransport};
use crosstie_sys::{Poller, Waker};

/// The token of the bell.
pub(super) const WAKE: u64 = u64::MAX;

/// What other threads ask of a reactor.
pub(crate) enum Command {
    /// Take over an accepted connection.
    Adopt(Box<dyn SocketTransport>, Peer),
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
    commands: Mutex<VecDeque<Command>>,
    pub(super) waker: Waker,
    pub(super) poller: Arc<Poller>,
}

impl Mailbox {
    pub(crate) fn new() -> io::Result<Self> {
        let poller = Arc::new(Poller::new()?);
        let waker = Waker::new(&poller, WAKE)?;
        Ok(Self { commands: Mutex::default(), waker, poller })
    }

    pub(crate) fn send(&self, command: Command) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push_back(command);
        self.waker.wake();
    }

    pub(super) fn take(&self) -> VecDeque<Command> {
        std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
