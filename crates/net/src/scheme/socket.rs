//! Listeners over stream sockets, whether this process has bound them or its parent.

use std::{
    io,
    net::TcpListener,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener,
    },
};

use crosstie_core::{Endpoint, Error, Target};
use rustix::net::{AddressFamily, getsockname};

use super::{tcp::TcpConnector, unix::UnixConnector};
use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::Connector,
    lifeline::Lifeline,
    listener::Listener,
    socket::{tcp::ask_when_silent, unix},
    transport::{Listen, Peer},
};

/// A listener over a socket.
pub(crate) struct SchemeListener {
    listener: Box<dyn Listen>,
    endpoint: Endpoint,
    capabilities: &'static Capabilities,
}

impl SchemeListener {
    pub(crate) fn new(listener: Box<dyn Listen>) -> io::Result<Self> {
        let target = listener.local_target()?;
        let capabilities = if matches!(target, Target::Unix { .. }) { &capabilities::UNIX } else { &capabilities::TCP };
        Ok(Self { listener, endpoint: Endpoint::new(target), capabilities })
    }

    /// Takes over a socket that listens already.
    pub(crate) fn adopt(socket: OwnedFd) -> io::Result<Self> {
        match getsockname(&socket)?.address_family() {
            AddressFamily::UNIX => Self::new(Box::new(unix::adopt(UnixListener::from(socket))?)),
            AddressFamily::INET | AddressFamily::INET6 => {
                let listener = TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                Self::new(Box::new(listener))
            }
            other => {
                let text = format!("expected a listening TCP or Unix socket, found family {}", other.as_raw());
                Err(io::Error::new(io::ErrorKind::Unsupported, text))
            }
        }
    }
}

impl AsFd for SchemeListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Listener for SchemeListener {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        let (transport, peer) = match self.listener.accept() {
            Ok(accepted) => accepted,
            // Who has gone again meanwhile was never there.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if matches!(peer, Peer::Network(_)) {
            ask_when_silent(&*transport);
        }
        let lifeline = if matches!(peer, Peer::Local(_)) { Lifeline::of_peer(&*transport)? } else { Lifeline::None };
        Ok(Some(Connection::new(transport, peer, lifeline, self.capabilities)))
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.capabilities
    }

    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        Ok(match self.endpoint.target() {
            Target::Unix { address } => Box::new(UnixConnector { address: address.clone() }),
            Target::Tcp { host } => Box::new(TcpConnector { host: host.clone() }),
            _ => unreachable!("a socket listens at a path, a name or a port"),
        })
    }
}
