//! Datagrams over a socket of the kernel's.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crosstie_core::{Endpoint, Error};
use crosstie_sys::Interest;
use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, send, socket_with},
};

use super::carrier::{Carrier, Received, Way, cut, full, nobody};

/// A fresh socket that does not block.
pub(super) fn socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

/// A socket that is bound, or connected.
pub(super) struct Socket<K> {
    pub(super) socket: OwnedFd,
    pub(super) max_len: usize,
    pub(super) endpoint: Endpoint,
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
        // With TRUNC the kernel tells the whole length, whatever fits.
        match recvfrom(&self.socket, buf, RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
            Ok((_, len, _)) if len > room => Err(cut(len, room)),
            Ok((_, len, from)) => Ok(Some(Received { len, from: from.and_then(|from| from.try_into().ok()) })),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    fn ready(&self, way: Way) -> (BorrowedFd<'_>, Interest) {
        (self.socket.as_fd(), if way == Way::Out { Interest::Write } else { Interest::Read })
    }
}
