//! Unix sockets that never block.

use std::{
    fs,
    io::{self, IoSlice},
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    path::Path,
    time::Duration,
};

use crosstie_core::{ByteTransport, Target, UnixAddress};
use crosstie_sys::{Interest, connect_unix, peer_process, try_receive_descriptors, try_send_descriptors, wait_ready};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};

use super::{
    claim::{Claim, has_socket},
    sleeper::Sleeper,
};
use crate::transport::{Armed, AsyncStream, Listen, Peer, SocketTransport, Transport, patiently};

/// A listener. One with a path removes its file in the end, if it still is its own.
pub(crate) struct Listener {
    listener: UnixListener,
    address: UnixAddress,
    /// The right to the path, and which file is ours there.
    claim: Option<Claim>,
}

pub(crate) fn bind(address: &UnixAddress) -> io::Result<Listener> {
    let (listener, claim) = match address {
        UnixAddress::Path(path) => {
            let mut claim = Claim::lay(path)?;
            remove_if_dead(path)?;
            let listener = UnixListener::bind(path)?;
            claim.made(path)?;
            (listener, Some(claim))
        }
        UnixAddress::Abstract(name) => (UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?, None),
    };
    of_std(listener, address.clone(), claim)
}

/// A listener that somebody else has bound.
pub(crate) fn adopt(listener: UnixListener) -> io::Result<Listener> {
    let local = listener.local_addr()?;
    let address = match (local.as_pathname(), local.as_abstract_name()) {
        (Some(path), _) => UnixAddress::Path(path.to_owned()),
        (None, Some(name)) => UnixAddress::Abstract(String::from_utf8_lossy(name).into_owned()),
        (None, None) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a socket with an address")),
    };
    of_std(listener, address, None)
}

fn of_std(listener: UnixListener, address: UnixAddress, claim: Option<Claim>) -> io::Result<Listener> {
    listener.set_nonblocking(true)?;
    crosstie_sys::widen_backlog(&listener)?;
    Ok(Listener { listener, address, claim })
}

/// Removes the file of a socket that nobody listens on. One that is alive stays, and binding to it fails then.
///
/// Whoever calls it has the claim, so nobody of ours can have put a socket there meanwhile.
fn remove_if_dead(path: &Path) -> io::Result<()> {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    // Without waiting: one that lives and accepts nobody any more would have us wait for ever.
    if has_socket(path)? && connect_unix(path).is_err_and(refused) { fs::remove_file(path) } else { Ok(()) }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let (UnixAddress::Path(path), Some(claim)) = (&self.address, &self.claim) else { return };
        if claim.is_still_ours(path) {
            // Gone already is as good.
            let _ = fs::remove_file(path);
        }
        // A child that was forked just now has the socket until it executes something; nobody shall be let in by it.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
    }
}

impl Listener {
    /// Accepts a connection as the standard library has it.
    pub(crate) fn accept_stream(&self) -> io::Result<UnixStream> {
        self.listener.accept().map(|(stream, _)| stream)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Listen for Listener {
    fn accept(&self) -> io::Result<(Box<dyn SocketTransport>, Peer)> {
        let (stream, _) = self.listener.accept()?;
        let peer = Peer::Local(peer_process(&stream)?);
        Ok((Box::new(UnixTransport::new(stream)?), peer))
    }

    fn local_target(&self) -> io::Result<Target> {
        Ok(Target::Unix { address: self.address.clone() })
    }
}

/// A connection. The socket itself blocks, for who sleeps in a read; everything else says that it shall not.
pub(crate) struct UnixTransport {
    stream: UnixStream,
    sleeper: Sleeper,
}

impl UnixTransport {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        Ok(Self { stream, sleeper: Sleeper::default() })
    }
}

/// The kernel takes no more at once.
const MOST_SLICES: usize = 1024;

impl ByteTransport for UnixTransport {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(recv(&self.stream, buf, RecvFlags::DONTWAIT)?.1)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(match slices {
            [one] => send(&self.stream, one, flags)?,
            many => {
                sendmsg(&self.stream, &many[..many.len().min(MOST_SLICES)], &mut SendAncillaryBuffer::default(), flags)?
            }
        })
    }

    fn shutdown(&self) {
        // Fails only if the peer was faster.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Transport for UnixTransport {
    fn wait_ready(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<bool> {
        wait_ready(&self.stream, interest, timeout)
    }

    fn read_within(&self, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        self.sleeper
            .read(self.stream.as_fd(), buf, timeout)
            .unwrap_or_else(|| patiently(timeout, || self.try_read(buf), |left| self.wait_ready(Interest::Read, left)))
    }

    fn arm_reading(&self) -> io::Result<Armed<'_>> {
        Ok(Armed::of(self.stream.as_fd()))
    }

    fn into_async(self: Box<Self>) -> io::Result<Box<dyn AsyncStream>> {
        self.stream.set_nonblocking(true)?;
        Ok(Box::new(tokio::net::UnixStream::from_std(self.stream)?))
    }

    fn end_writing(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    fn try_pass(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        try_send_descriptors(&self.stream, bytes, descriptors)
    }

    fn try_take(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        try_receive_descriptors(&self.stream, buf)
    }
}

impl AsFd for UnixTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
