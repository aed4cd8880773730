//! `tcp://host:port`: how to connect. How to listen is in `socket`.

use std::{
    io,
    net::TcpStream,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use crosstie_core::{Error, HostPort, Target};
use crosstie_sys::{Interest, Poller, Waker};

use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::{Attempt, Connector, Progress, unreachable},
    dial::Dial,
    lifeline::Lifeline,
    socket::tcp::{TcpTransport, ask_when_silent},
    transport::{Peer, SocketTransport},
};

pub(crate) struct TcpConnector {
    pub(crate) host: HostPort,
}

impl Connector for TcpConnector {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        Ok(Box::new(self.attempt()?))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::TCP
    }
}

impl TcpConnector {
    pub(crate) fn attempt(&self) -> Result<Connecting, Error> {
        let told = |error| unreachable(format_args!("tcp://{}", self.host), error);
        Connecting::begin(&self.host).map_err(told)
    }
}

const BELL: u64 = 0;
const SOCKET: u64 = 1;

/// A name that is looked up, then one address after the other, behind the one descriptor of a poller.
pub(crate) struct Connecting {
    host: HostPort,
    poller: Poller,
    bell: Arc<Waker>,
    dial: Dial,
}

impl Connecting {
    fn begin(host: &HostPort) -> io::Result<Self> {
        let poller = Poller::new()?;
        let bell = Arc::new(Waker::new(&poller, BELL)?);
        let ring = Arc::clone(&bell);
        let dial = Dial::begin(&Target::Tcp { host: host.clone() }, move || ring.wake())?;
        Ok(Self { host: host.clone(), poller, bell, dial })
    }
}

/// A socket, and who is at its other end.
pub(crate) type Connected = (Box<dyn SocketTransport>, Peer);

impl Connecting {
    /// The socket and who is there, once it is connected.
    pub(crate) fn connected(&mut self) -> Result<Option<Connected>, Error> {
        let told = |error| unreachable(format_args!("tcp://{}", self.host), error);
        self.bell.reset();
        let Some(transport) = self.dial.advance(&self.poller, SOCKET).map_err(told)? else { return Ok(None) };
        self.poller.remove(&*transport).map_err(told)?;
        ask_when_silent(&*transport);
        let peer = rustix::net::getpeername(&*transport).ok().flatten().and_then(|address| address.try_into().ok());
        Ok(Some((transport, peer.map_or(Peer::Unknown, Peer::Network))))
    }
}

impl Attempt for Connecting {
    fn advance(&mut self) -> Result<Progress, Error> {
        Ok(match self.connected()? {
            None => Progress::Wait(Interest::Read),
            Some((transport, peer)) => {
                Progress::Done(Connection::new(transport, peer, Lifeline::None, &capabilities::TCP))
            }
        })
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.poller.as_fd())
    }
}

/// The connection over a socket that somebody else has connected.
pub(crate) fn connection(stream: TcpStream, capabilities: &'static Capabilities) -> io::Result<Connection> {
    let peer = stream.peer_addr().map_or(Peer::Unknown, Peer::Network);
    Ok(Connection::new(Box::new(TcpTransport::new(stream)?), peer, Lifeline::None, capabilities))
}
