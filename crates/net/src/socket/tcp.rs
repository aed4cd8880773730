//! TCP sockets that never block.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use crosstie_core::{ByteTransport, HostPort, Target};
use crosstie_sys::{Interest, wait_ready};

use crate::transport::{Armed, AsyncStream, Listen, Peer, SocketTransport, Transport};

pub(crate) fn bind(host: &HostPort) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((host.host.as_str(), host.port))?;
    listener.set_nonblocking(true)?;
    crosstie_sys::widen_backlog(&listener)?;
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

impl Transport for TcpTransport {
    fn wait_ready(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<bool> {
        wait_ready(&self.stream, interest, timeout)
    }

    fn arm_reading(&self) -> io::Result<Armed<'_>> {
        Ok(Armed::of(self.stream.as_fd()))
    }

    fn into_async(self: Box<Self>) -> io::Result<Box<dyn AsyncStream>> {
        Ok(Box::new(tokio::net::TcpStream::from_std(self.stream)?))
    }

    fn end_writing(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

impl AsFd for TcpTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
