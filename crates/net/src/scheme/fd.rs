//! `fd:3`: a descriptor that this process was started with.

use std::{
    io,
    net::TcpStream,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use crosstie_core::{Error, Kind};
use crosstie_sys::{DescriptorKind, Direction, inherited, is_listening, reopened};
use rustix::net::{AddressFamily, SocketType, getsockname, sockopt::socket_type};

use super::{socket::SchemeListener, tcp, unix};
use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::{Attempt, Connector, Instantly, unreachable},
    descriptor::DescriptorTransport,
    lifeline::Lifeline,
    transport::Peer,
};

pub(crate) struct FdConnector {
    pub(crate) number: u32,
}

impl Connector for FdConnector {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        let told = |error| unreachable(format_args!("fd:{}", self.number), error);
        inherited(self.number).and_then(connection).map(Instantly::boxed).map_err(told)
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::FD
    }
}

/// A connection over whatever a descriptor is. A socket goes both ways, a pipe one way.
fn connection(descriptor: OwnedFd) -> io::Result<Connection> {
    let (kind, direction) = DescriptorKind::of(&descriptor)?;
    let (reader, writer) = match (kind, direction) {
        (DescriptorKind::Socket, _) => return socket(descriptor),
        (_, Direction::Read) => (Some(own(descriptor, kind, direction)?), None),
        (_, Direction::Write) => (None, Some(own(descriptor, kind, direction)?)),
        (_, Direction::Both) => {
            let descriptor = own(descriptor, kind, direction)?;
            (Some(descriptor.try_clone()?), Some(descriptor))
        }
    };
    Ok(of_descriptors(DescriptorTransport::new(reader, writer)?))
}

fn of_descriptors(transport: DescriptorTransport) -> Connection {
    Connection::new(Box::new(transport), Peer::Unknown, Lifeline::None, &capabilities::FD)
}

/// A descriptor that can be made not to block without the parent and its other children noticing. A file never blocks, and has a position that
/// is meant to be shared.
fn own(descriptor: OwnedFd, kind: DescriptorKind, direction: Direction) -> io::Result<OwnedFd> {
    if kind == DescriptorKind::File { Ok(descriptor) } else { reopened(&descriptor, direction) }
}

fn socket(descriptor: OwnedFd) -> io::Result<Connection> {
    if is_listening(&descriptor)? {
        let text = "this socket listens: open it as a listener";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    match (getsockname(&descriptor)?.address_family(), socket_type(&descriptor)?) {
        (AddressFamily::UNIX, SocketType::STREAM) => unix::connection(UnixStream::from(descriptor), &capabilities::FD),
        (AddressFamily::INET | AddressFamily::INET6, SocketType::STREAM) => {
            tcp::connection(TcpStream::from(descriptor), &capabilities::FD)
        }
        (family, _) => {
            let text = format!("expected a TCP or Unix stream socket, found family {}", family.as_raw());
            Err(io::Error::new(io::ErrorKind::Unsupported, text))
        }
    }
}

/// The listener behind an inherited descriptor.
pub(crate) fn listen(number: u32) -> io::Result<SchemeListener> {
    let descriptor = inherited(number)?;
    if !matches!(DescriptorKind::of(&descriptor)?, (DescriptorKind::Socket, _)) || !is_listening(&descriptor)? {
        let text = format!("descriptor {number} is no listening socket: connect to it");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    SchemeListener::adopt(descriptor)
}

/// The standard input and output of this process as one connection: the other end of somebody's `exec:`.
///
/// Standard output stays open as long as the process lives; the peer sees its end with the end of the process.
///
/// # Errors
///
/// [`Kind::Io`], where one of the two is not open.
pub fn standard_streams() -> Result<Connection, Error> {
    let open = || {
        let (input, output) = (inherited(0)?, inherited(1)?);
        let (kind, _) = DescriptorKind::of(&input)?;
        if kind == DescriptorKind::Socket {
            return socket(input);
        }
        let (to, _) = DescriptorKind::of(&output)?;
        let (reader, writer) = (own(input, kind, Direction::Read)?, own(output, to, Direction::Write)?);
        Ok(of_descriptors(DescriptorTransport::new(Some(reader), Some(writer))?))
    };
    open().map_err(|error: io::Error| Error::new(Kind::Io, "cannot use standard input and output").because(error))
}
