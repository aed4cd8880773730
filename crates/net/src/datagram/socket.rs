//! Datagrams over a socket of the kernel's.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crosstie_core::{Endpoint, Error};
use crosstie_sys::Interest;
use rustix::{
    io::Errno,
    net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with},
};

use super::carrier::{Carrier, Received, Way, cut, full, nobody};

/// A fresh socket that does not block.
pub(super) fn socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

/// Takes a datagram from a socket: its whole length, whatever fits.
pub(super) type Take = fn(&OwnedFd, &mut [u8]) -> io::Result<Received>;

/// A socket that is bound, or connected.
pub(super) struct Socket<K> {
    pub(super) socket: OwnedFd,
    pub(super) max_len: usize,
    pub(super) endpoint: Endpoint,
    pub(super) take: Take,
    /// What lives as long as the socket does.
    pub(super) _kept: K,
}

impl<K: Send + Sync> Carrier for Socket<K> {
    fn max_len(&self) -> usize {
        self.max_len
    }

    fn try_send(&self, bytes: &[u8]) -> Result<(), Error> {
        match send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(Errno::AGAIN | Errno::NOBUFS) => Err(full()),
            Err(error @ (Errno::CONNREFUSED | Errno::NOTCONN | Errno::CONNRESET)) => {
                Err(nobody(&self.endpoint).because(io::Error::from(error)))
            }
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    fn try_receive(&self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        let room = buf.len();
        match (self.take)(&self.socket, buf) {
            Ok(received) if received.len > room => Err(cut(received.len, room)),
            Ok(received) => Ok(Some(received)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn ready(&self, way: Way) -> (BorrowedFd<'_>, Interest) {
        (self.socket.as_fd(), if way == Way::Out { Interest::Write } else { Interest::Read })
    }
}
