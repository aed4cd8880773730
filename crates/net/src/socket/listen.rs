//! What every kind of listener does, and what it accepts.

use std::{io, net::SocketAddr, os::fd::AsFd};

use crosstie_core::{ByteTransport, Target};

/// A connection over a descriptor that can be waited for.
pub trait SocketTransport: ByteTransport + AsFd {}

impl<T: ByteTransport + AsFd> SocketTransport for T {}

/// Who is at the other end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on the network.
    Network(SocketAddr),
    /// A process of this machine.
    Local,
}

impl Peer {
    /// The network address, if there is one.
    pub const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Network(address) => Some(address),
            Self::Local => None,
        }
    }
}

/// A listener of one kind.
pub(super) trait Listen: Send + AsFd {
    /// Accepts a connection that waits.
    fn accept(&self) -> io::Result<(Box<dyn SocketTransport>, Peer)>;
    /// Where it listens.
    fn local_target(&self) -> io::Result<Target>;
}
