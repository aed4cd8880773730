//! `unix:/path` and `unix:@name`: how to connect. How to listen is in `socket`.

use std::{io, os::unix::net::UnixStream, time::Duration};

use crosstie_core::{Error, UnixAddress};
use crosstie_sys::{connect_unix, connect_unix_abstract, peer_process};

use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::{Attempt, Connector, Progress, unreachable},
    lifeline::Lifeline,
    socket::unix::UnixTransport,
    transport::Peer,
};

pub(crate) struct UnixConnector {
    pub(crate) address: UnixAddress,
}

impl Connector for UnixConnector {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        Ok(Box::new(Connecting { address: self.address.clone(), pause: FIRST_PAUSE }))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::UNIX
    }
}

/// While as many wait to be accepted as the listener lets wait. The kernel tells nobody when that changes.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

struct Connecting {
    address: UnixAddress,
    pause: Duration,
}

impl Attempt for Connecting {
    fn advance(&mut self) -> Result<Progress, Error> {
        match dial(&self.address) {
            Ok(stream) => {
                let told = |error| unreachable(format_args!("unix:{}", self.address), error);
                connection(stream, &capabilities::UNIX).map(Progress::Done).map_err(told)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let pause = self.pause;
                self.pause = (pause * 2).min(LONGEST_PAUSE);
                Ok(Progress::Pause(pause))
            }
            Err(error) => Err(unreachable(format_args!("unix:{}", self.address), error)),
        }
    }
}

pub(crate) fn dial(address: &UnixAddress) -> io::Result<UnixStream> {
    match address {
        UnixAddress::Path(path) => connect_unix(path),
        UnixAddress::Abstract(name) => connect_unix_abstract(name.as_bytes()),
    }
}

/// The connection over a socket, with whom the kernel says is there.
pub(crate) fn connection(stream: UnixStream, capabilities: &'static Capabilities) -> io::Result<Connection> {
    let (peer, lifeline) = (Peer::Local(peer_process(&stream)?), Lifeline::of_peer(&stream)?);
    Ok(Connection::new(Box::new(UnixTransport::new(stream)?), peer, lifeline, capabilities))
}
