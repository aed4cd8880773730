//! A socket as the core sees it: bytes go in, and its own reactor hears when there is room again.

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, PoisonError},
};

use crosstie_core::ByteTransport;
use crosstie_net::SocketTransport;
use crosstie_sys::{Interest, Poller};

use crate::core::Link;

/// A socket and what its reactor waits for on it.
pub(super) struct SocketLink {
    transport: Box<dyn SocketTransport>,
    poller: Arc<Poller>,
    token: u64,
    /// Changed by the reactor (reading) and by whoever finds no room (writing), so the two are told to the kernel under one lock.
    wants: Mutex<Wants>,
}

#[derive(Clone, Copy)]
struct Wants {
    read: bool,
    write: bool,
}

impl Wants {
    const fn interest(self) -> Interest {
        match (self.read, self.write) {
            (false, false) => Interest::None,
            (true, false) => Interest::Read,
            (false, true) => Interest::Write,
            (true, true) => Interest::ReadWrite,
        }
    }
}

impl SocketLink {
    pub(super) fn new(transport: Box<dyn SocketTransport>, poller: Arc<Poller>, token: u64) -> Self {
        Self { transport, poller, token, wants: Mutex::new(Wants { read: true, write: false }) }
    }

    /// Begins to wait for it, with whatever is wanted by now.
    pub(super) fn register(&self) -> io::Result<()> {
        let wants = self.wants.lock().unwrap_or_else(PoisonError::into_inner);
        self.poller.add(&*self.transport, self.token, wants.interest())
    }

    pub(super) fn deregister(&self) {
        // Fails only if it was never registered.
        let _ = self.poller.remove(&*self.transport);
    }

    pub(super) fn watch_readable(&self, on: bool) {
        self.change(|wants| wants.read = on);
    }

    pub(super) fn unwatch_writable(&self) {
        self.change(|wants| wants.write = false);
    }

    fn change(&self, change: impl FnOnce(&mut Wants)) {
        let mut wants = self.wants.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut wants);
        // Not registered yet, or no more: `register` takes the wants as they are then.
        let _ = self.poller.modify(&*self.transport, self.token, wants.interest());
    }
}

impl ByteTransport for SocketLink {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.transport.try_read(buf)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.transport.try_write(slices)
    }

    fn shutdown(&self) {
        self.transport.shutdown();
    }
}

impl Link for SocketLink {
    fn watch_writable(&self) {
        self.change(|wants| wants.write = true);
    }
}
