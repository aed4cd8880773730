//! TCP sockets that never block.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd},
};

use crosstie_core::{ByteTransport, HostPort, Target};

use super::listen::{Listen, Peer, SocketTransport};

pub(super) fn bind(host: &HostPort) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((host.host.as_str(), host.port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Listen for TcpListener {
    fn accept(&self) -> io::Result<(Box<dyn SocketTransport>, Peer)> {
        let (stream, address) = Self::accept(self)?;
        Ok((Box::new(TcpTransport::new(stream)?), Peer::Network(address)))
    }

    fn local_target(&self) -> io::Result<Target> {
        let address = self.local_addr()?;
        Ok(Target::Tcp { host: HostPort { host: address.ip().to_string(), port: address.port() } })
    }
}

/// A connection.
pub(crate) struct TcpTransport {
    stream: TcpStream,
}

impl TcpTransport {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // Messages leave in whole batches already; waiting for more would only delay them.
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }
}

impl ByteTransport for TcpTransport {
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

impl AsFd for TcpTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
