//! Sockets that never block, for a reactor: listeners and connections over TCP and Unix sockets.

pub(crate) mod tcp;
pub(crate) mod unix;

use std::{io, net::SocketAddr, os::fd::AsFd};

use crosstie_core::{ByteTransport, Endpoint, Error, Kind, Target};

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

/// A listener that never blocks.
pub struct SocketListener {
    listener: Box<dyn Listen>,
}

/// What every kind of listener does.
trait Listen: Send + AsFd {
    fn accept(&self) -> io::Result<(Box<dyn SocketTransport>, Peer)>;
    fn local_target(&self) -> io::Result<Target>;
}

impl SocketListener {
    /// Listens at `target`. A Unix socket that nobody listens on any more is replaced; its file is removed when the listener is dropped.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`] for a scheme that is neither `tcp:` nor `unix:`; [`Kind::Io`] with the address where the operating system refuses.
    pub fn bind(target: &Target) -> Result<Self, Error> {
        let listener: io::Result<Box<dyn Listen>> = match target {
            Target::Tcp { host } => tcp::bind(host).map(|listener| Box::new(listener) as _),
            Target::Unix { address } => unix::bind(address).map(|listener| Box::new(listener) as _),
            other => {
                let text = format!("a stream listener needs tcp: or unix:, found '{other}'");
                return Err(Error::new(Kind::Unsupported, text));
            }
        };
        let listener =
            listener.map_err(|error| Error::new(Kind::Io, format!("cannot listen on '{target}'")).because(error))?;
        Ok(Self { listener })
    }

    /// Accepts a connection that waits; `None` if none does.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors.
    pub fn try_accept(&self) -> io::Result<Option<(Box<dyn SocketTransport>, Peer)>> {
        match self.listener.accept() {
            Ok(accepted) => Ok(Some(accepted)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Where it listens, with the port that the system chose if it was left open.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn local_endpoint(&self) -> io::Result<Endpoint> {
        self.listener.local_target().map(Endpoint::new)
    }
}

impl AsFd for SocketListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
