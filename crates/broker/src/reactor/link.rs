//! A socket as the core sees it: bytes go in, and its own reactor hears when there is room again.

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crosstie_core::ByteTransport;
use crosstie_net::SocketTransport;
use crosstie_sys::{Interest, Poller};

use crate::core::Link;

/// A socket and what its reactor waits for on it.
pub(super) struct SocketLink {
    transport: Box<dyn SocketTransport>,
    /// Changed by the reactor (reading) and by whoever finds no room (writing), so the two are told to the kernel under one lock.
    watch: Mutex<Watch>,
}

/// Who waits for a socket, and for what.
struct Watch {
    poller: Arc<Poller>,
    token: u64,
    read: bool,
    write: bool,
}

impl Watch {
    const fn interest(&self) -> Interest {
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
        Self { transport, watch: Mutex::new(Watch { poller, token, read: true, write: false }) }
    }

    /// Begins to wait for it, with whatever is wanted by now.
    pub(super) fn register(&self) -> io::Result<()> {
        let watch = self.lock();
        watch.poller.add(&*self.transport, watch.token, watch.interest())
    }

    pub(super) fn deregister(&self) {
        // Fails only if it was never registered.
        let _ = self.lock().poller.remove(&*self.transport);
    }

    /// From now on it is another poller's to wait for it, under another token. Nobody waits for it yet.
    pub(super) fn move_to(&self, poller: Arc<Poller>, token: u64) {
        let mut watch = self.lock();
        let _ = watch.poller.remove(&*self.transport);
        (watch.poller, watch.token) = (poller, token);
    }

    pub(super) fn watch_readable(&self, on: bool) {
        self.change(|watch| watch.read = on);
    }

    pub(super) fn unwatch_writable(&self) {
        self.change(|watch| watch.write = false);
    }

    fn change(&self, change: impl FnOnce(&mut Watch)) {
        let mut watch = self.lock();
        change(&mut watch);
        // Not registered yet, or no more: `register` takes what is wanted then.
        let _ = watch.poller.modify(&*self.transport, watch.token, watch.interest());
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.change(|watch| watch.write = true);
    }
}
