//! Unix sockets that never block.

use std::{
    fs,
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd},
        linux::net::SocketAddrExt,
        unix::{
            fs::FileTypeExt,
            net::{SocketAddr, UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use crosstie_core::{ByteTransport, Target, UnixAddress};
use crosstie_sys::{Interest, peer_process, wait_ready};

use crate::transport::{AsyncStream, Listen, Peer, SocketTransport, Transport};

/// A listener that removes its file in the end.
pub(super) struct Listener {
    listener: UnixListener,
    address: UnixAddress,
}

pub(super) fn bind(address: &UnixAddress) -> io::Result<Listener> {
    let listener = match address {
        UnixAddress::Path(path) => {
            remove_if_dead(path)?;
            UnixListener::bind(path)?
        }
        UnixAddress::Abstract(name) => UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?,
    };
    listener.set_nonblocking(true)?;
    crosstie_sys::widen_backlog(&listener)?;
    Ok(Listener { listener, address: address.clone() })
}

/// Removes the file of a socket that nobody listens on. One that is alive stays, and binding to it fails then.
fn remove_if_dead(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && UnixStream::connect(path).is_err_and(refused) { fs::remove_file(path) } else { Ok(()) }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let UnixAddress::Path(path) = &self.address {
            let path: &PathBuf = path;
            // Gone already is as good.
            let _ = fs::remove_file(path);
        }
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

/// A connection.
pub(crate) struct UnixTransport {
    stream: UnixStream,
}

impl UnixTransport {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream })
    }
}

impl ByteTransport for UnixTransport {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buf)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => (&self.stream).write(one),
            many => (&self.stream).write_vectored(many),
        }
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

    fn into_async(self: Box<Self>) -> io::Result<Box<dyn AsyncStream>> {
        Ok(Box::new(tokio::net::UnixStream::from_std(self.stream)?))
    }
}

impl AsFd for UnixTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
