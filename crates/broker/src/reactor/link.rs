//! A socket as the core sees it: bytes go in, and its own reactor hears when there is room again.

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crosstie_core::ByteTransport;
use crosstie_net::{Handshake, SocketTransport, TlsTransport};
use crosstie_sys::{Interest, Poller};

use crate::{core::Link, snapshot::TlsSnapshot};

/// A socket and what its reactor waits for on it.
pub(super) struct SocketLink {
    socket: Socket,
    /// Changed by the reactor (reading) and by whoever finds no room (writing), so the two are told to the kernel under one lock.
    watch: Mutex<Watch>,
}

enum Socket {
    Plain(Box<dyn SocketTransport>),
    Tls(Box<TlsTransport>),
}

/// Who waits for a socket, and for what.
struct Watch {
    poller: Arc<Poller>,
    token: u64,
    read: bool,
    write: bool,
    /// What its handshake waits for, which comes before all else.
    handshake: Option<Interest>,
}

impl Watch {
    const fn interest(&self) -> Interest {
        if let Some(interest) = self.handshake {
            return interest;
        }
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
        Self::over(Socket::Plain(transport), poller, token, None)
    }

    /// One whose handshake comes first.
    pub(super) fn over_tls(transport: TlsTransport, poller: Arc<Poller>, token: u64) -> Self {
        Self::over(Socket::Tls(Box::new(transport)), poller, token, Some(Interest::Read))
    }

    fn over(socket: Socket, poller: Arc<Poller>, token: u64, handshake: Option<Interest>) -> Self {
        Self { socket, watch: Mutex::new(Watch { poller, token, read: true, write: false, handshake }) }
    }

    fn transport(&self) -> &dyn SocketTransport {
        match &self.socket {
            Socket::Plain(transport) => &**transport,
            Socket::Tls(transport) => &**transport,
        }
    }

    /// Goes on with the handshake.
    pub(super) fn handshake(&self) -> io::Result<Handshake> {
        match &self.socket {
            Socket::Plain(_) => Ok(Handshake::Plain),
            Socket::Tls(transport) => transport.handshake(),
        }
    }

    /// Greets in the clear, unless TLS has begun.
    pub(super) fn greet(&self) -> bool {
        matches!(&self.socket, Socket::Tls(transport) if transport.greet())
    }

    /// What is to be known of it once the handshake is done.
    pub(super) fn tls(&self) -> Option<TlsSnapshot> {
        let Socket::Tls(transport) = &self.socket else { return None };
        Some(TlsSnapshot::new(transport.cipher_suite()?, !transport.has_greeted(), transport.certificate()))
    }

    /// Waits for this alone.
    pub(super) fn watch_handshake(&self, interest: Interest) {
        self.change(|watch| watch.handshake = Some(interest));
    }

    /// From now on it is waited for as any other.
    pub(super) fn secured(&self) {
        self.change(|watch| watch.handshake = None);
    }

    /// True if something has come that no event tells of.
    pub(super) fn has_more(&self) -> bool {
        self.transport().has_more()
    }

    /// Sends on what was taken and has not left. If some of it stays, an event tells when there is room again.
    pub(super) fn send_on(&self) {
        if self.transport().try_flush().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.change(|watch| watch.write = true);
        }
    }

    /// Begins to wait for it, with whatever is wanted by now.
    pub(super) fn register(&self) -> io::Result<()> {
        let watch = self.lock();
        watch.poller.add(self.transport(), watch.token, watch.interest())
    }

    pub(super) fn deregister(&self) {
        // Fails only if it was never registered.
        let _ = self.lock().poller.remove(self.transport());
    }

    /// From now on it is another poller's to wait for it, under another token. Nobody waits for it yet.
    pub(super) fn move_to(&self, poller: Arc<Poller>, token: u64) {
        let mut watch = self.lock();
        let _ = watch.poller.remove(self.transport());
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
        let _ = watch.poller.modify(self.transport(), watch.token, watch.interest());
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ByteTransport for SocketLink {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.socket {
            Socket::Plain(transport) => transport.try_read(buf),
            Socket::Tls(transport) => transport.try_read(buf),
        }
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.socket {
            Socket::Plain(transport) => transport.try_write(slices),
            Socket::Tls(transport) => {
                let count = transport.try_write(slices)?;
                self.send_on();
                Ok(count)
            }
        }
    }

    fn shutdown(&self) {
        self.transport().shutdown();
    }
}

impl Link for SocketLink {
    fn watch_writable(&self) {
        self.change(|watch| watch.write = true);
    }
}
