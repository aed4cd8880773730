//! A connection that is being made, for a thread that also waits for other things.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs},
    sync::mpsc::{Receiver, TryRecvError, channel},
    thread,
    vec::IntoIter,
};

use crosstie_core::{HostPort, Target, UnixAddress};
use crosstie_sys::{Interest, Poller, begin_tcp, connect_unix, connect_unix_abstract, connection_error};

use crate::{
    socket::{tcp::TcpTransport, unix::UnixTransport},
    transport::SocketTransport,
};

/// A connection that is being made. Dropping it gives up at once.
///
/// Every address of a name is tried in turn. Only a name that has to be looked up takes a thread of its own, which lives as long as the
/// system's resolver takes, and holds no connection.
pub struct Dial {
    step: Step,
}

enum Step {
    LookingUp(Receiver<io::Result<IntoIter<SocketAddr>>>),
    Trying { stream: TcpStream, rest: IntoIter<SocketAddr> },
    There(Box<dyn SocketTransport>),
    Over,
}

impl Dial {
    /// Begins. `wake` is called when a name has been looked up: call [`Dial::advance`] then.
    ///
    /// # Errors
    ///
    /// The operating system's; `Unsupported` for a scheme that is neither `tcp:` nor `unix:`.
    pub fn begin(target: &Target, wake: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let step = match target {
            Target::Tcp { host } => look_up(host, wake)?,
            Target::Unix { address } => {
                let stream = match address {
                    UnixAddress::Path(path) => connect_unix(path)?,
                    UnixAddress::Abstract(name) => connect_unix_abstract(name.as_bytes())?,
                };
                Step::There(Box::new(UnixTransport::new(stream)?))
            }
            other => return Err(unsupported(other)),
        };
        Ok(Self { step })
    }

    /// Goes on as far as it can, and returns the connection once it is there. Until then its descriptor waits in `poller` under `token` for room
    /// to write: call this again when there is some. What is returned is in `poller`, too.
    ///
    /// # Errors
    ///
    /// That of the last address, when none could be reached.
    pub fn advance(&mut self, poller: &Poller, token: u64) -> io::Result<Option<Box<dyn SocketTransport>>> {
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::LookingUp(found) => match found.try_recv() {
                Ok(addresses) => self.try_next(addresses?, no_address(), poller, token),
                Err(TryRecvError::Empty) => {
                    self.step = Step::LookingUp(found);
                    Ok(None)
                }
                Err(TryRecvError::Disconnected) => Err(no_address()),
            },
            Step::Trying { stream, rest } => match is_there(&stream) {
                Ok(true) => Ok(Some(Box::new(TcpTransport::new(stream)?))),
                Ok(false) => {
                    self.step = Step::Trying { stream, rest };
                    Ok(None)
                }
                Err(error) => self.try_next(rest, error, poller, token),
            },
            Step::There(transport) => {
                poller.add(&*transport, token, Interest::Write)?;
                Ok(Some(transport))
            }
            Step::Over => Err(no_address()),
        }
    }

    fn try_next(
        &mut self,
        mut rest: IntoIter<SocketAddr>,
        mut last: io::Error,
        poller: &Poller,
        token: u64,
    ) -> io::Result<Option<Box<dyn SocketTransport>>> {
        while let Some(address) = rest.next() {
            match begin_tcp(address) {
                Ok(stream) => {
                    poller.add(&stream, token, Interest::Write)?;
                    self.step = Step::Trying { stream, rest };
                    return Ok(None);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn look_up(host: &HostPort, wake: impl FnOnce() + Send + 'static) -> io::Result<Step> {
    let (tell, found) = channel();
    match host.host.parse::<IpAddr>() {
        // Whoever receives is in this very function's result.
        Ok(address) => drop(tell.send(Ok(vec![SocketAddr::new(address, host.port)].into_iter()))),
        Err(_) => {
            let (name, port) = (host.host.clone(), host.port);
            thread::Builder::new().name("crosstie-resolve".into()).spawn(move || {
                let addresses = (name.as_str(), port).to_socket_addrs();
                // Nobody may want to know any more.
                let _ = tell.send(addresses.map(|addresses| addresses.collect::<Vec<_>>().into_iter()));
                wake();
            })?;
        }
    }
    Ok(Step::LookingUp(found))
}

/// True if the connection is there, false if it is still being made.
fn is_there(stream: &TcpStream) -> io::Result<bool> {
    connection_error(stream)?;
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

pub(crate) fn unsupported(target: &Target) -> io::Error {
    let text = format!("a stream connection needs tcp:, unix: or mem:, found '{target}'");
    io::Error::new(io::ErrorKind::Unsupported, text)
}
