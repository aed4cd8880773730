//! TCP sockets that never block.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use crosstie_core::{ByteTransport, HostPort, Target};
use crosstie_sys::{Interest, wait_ready};
use rustix::{
    io::Errno,
    net::sockopt::{set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl},
};

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

/// Has the kernel ask a silent machine at the other end whether it is still there, and end the connection if it has not answered for as long again. It asks only
/// while nothing is on the way; what is, it sends again for many minutes.
pub(crate) fn ask_when_silent(socket: impl AsFd) {
    let ask = || {
        set_tcp_keepidle(&socket, SILENCE)?;
        set_tcp_keepintvl(&socket, SILENCE / QUESTIONS)?;
        set_tcp_keepcnt(&socket, QUESTIONS)?;
        set_socket_keepalive(&socket, true)
    };
    // Where it does not ask, silence is borne for ever, and nothing else differs.
    let _ = ask();
}

/// The silence of a machine that is borne.
const SILENCE: Duration = Duration::from_secs(15);
const QUESTIONS: u32 = 3;

/// What the kernel says when nobody has answered it is no wait that has ended: nothing more comes.
fn absent(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(Errno::TIMEDOUT.raw_os_error()) {
        return io::Error::new(io::ErrorKind::ConnectionReset, "the other machine does not answer any more");
    }
    error
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
        (&self.stream).read(buf).map_err(absent)
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = match slices {
            [one] => (&self.stream).write(one),
            many => (&self.stream).write_vectored(many),
        };
        written.map_err(absent)
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

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{socket_keepalive, tcp_keepcnt, tcp_keepidle, tcp_keepintvl};

    use super::*;
    use crate::{connector, listen};

    #[test]
    fn both_ends_of_a_connection_are_asked_for_when_they_are_silent_and_a_reactors_are_not() {
        let listener = listen(&"tcp://127.0.0.1:0".parse().unwrap()).unwrap();
        let near = connector(listener.endpoint()).unwrap().connect(SILENCE).unwrap();
        let far = listener.accept(SILENCE).unwrap();
        for end in [&near, &far] {
            let armed = end.arm_reading().unwrap();
            let socket = armed.descriptors[0].as_fd();
            assert!(socket_keepalive(socket).unwrap());
            let asked = (tcp_keepidle(socket).unwrap(), tcp_keepintvl(socket).unwrap(), tcp_keepcnt(socket).unwrap());
            assert_eq!(asked, (SILENCE, SILENCE / 3, 3));
        }
        // The control: who has questions of its own asks those alone.
        let bare = TcpTransport::new(TcpStream::connect(near.peer().address().unwrap()).unwrap()).unwrap();
        assert!(!socket_keepalive(&bare).unwrap());
    }

    #[test]
    fn who_does_not_answer_the_kernel_is_lost_and_no_wait_is_over() {
        let timed_out = io::Error::from_raw_os_error(Errno::TIMEDOUT.raw_os_error());
        assert_eq!(absent(timed_out).kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(absent(io::ErrorKind::WouldBlock.into()).kind(), io::ErrorKind::WouldBlock);
    }
}
