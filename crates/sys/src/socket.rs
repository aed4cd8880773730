//! Sockets: connections that begin without waiting, who is at their other end, and a wait for one of them.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt::socket_error},
};

use crate::{poller::Interest, process_handle::ProcessHandle};

fn socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

/// A TCP connection that has begun and does not block. It is there once it has room to write and [`connection_error`] finds none.
///
/// # Errors
///
/// The operating system's, where it refuses at once.
pub fn begin_tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 })?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// Why a connection that had begun could not be made.
///
/// # Errors
///
/// That of the connection, once; or the operating system's.
pub fn connection_error(socket: impl AsFd) -> io::Result<()> {
    Ok(socket_error(socket)??)
}

/// A connection to a Unix socket in the file system, which does not block, neither now nor later.
///
/// # Errors
///
/// The operating system's; `WouldBlock` if as many wait to be accepted as the listener lets wait.
pub fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    unix(&SocketAddrUnix::new(path)?)
}

/// A connection to an abstract Unix socket, as [`connect_unix`].
///
/// # Errors
///
/// As [`connect_unix`].
pub fn connect_unix_abstract(name: &[u8]) -> io::Result<UnixStream> {
    unix(&SocketAddrUnix::new_abstract_name(name)?)
}

fn unix(address: &SocketAddrUnix) -> io::Result<UnixStream> {
    let socket = socket(AddressFamily::UNIX)?;
    connect(&socket, address)?;
    Ok(socket.into())
}

/// A process at the other end of a Unix socket, as it was when it connected or began to listen.
///
/// The number of a process is used again once it has ended: it says who it was, not that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProcess {
    /// Its number; zero if it is in a namespace that is not seen from here.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// The process at the other end of a Unix socket. The kernel vouches for it.
///
/// # Errors
///
/// The operating system's, if it is no Unix socket.
pub fn peer_process(socket: impl AsFd) -> io::Result<PeerProcess> {
    // rustix has this call, but a pid of its is never zero, and this one may be.
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).expect("a structure of twelve bytes");
    // SAFETY: the kernel writes at most `length` bytes, the size of what the pointer leads to; both outlive the call, and any bytes make a
    // valid `ucred`. The descriptor is open, since `socket` is borrowed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // What has no such process, a TCP connection for one, has the user -1.
    if credentials.uid == u32::MAX {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(PeerProcess { pid: credentials.pid.unsigned_abs(), uid: credentials.uid, gid: credentials.gid })
}

/// What the kernel says of the life of the process at the other end of a Unix socket.
#[derive(Debug)]
pub enum PeerLife {
    /// It can be watched.
    Watched(ProcessHandle),
    /// It has ended already, and was taken away.
    Ended,
    /// The kernel does not say: it is older than 6.5, or the process is not seen from here.
    Unknown,
}

/// The life of the process that made the other end of a Unix socket, without a process number in between that could be another's by now.
///
/// # Errors
///
/// The operating system's, for want of descriptors.
pub fn peer_life(socket: impl AsFd) -> io::Result<PeerLife> {
    let mut descriptor: libc::c_int = -1;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("four bytes");
    // SAFETY: the kernel writes at most `length` bytes, the size of the number that the pointer leads to; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut descriptor).cast(),
            &raw mut length,
        )
    };
    if result == 0 && descriptor >= 0 {
        // SAFETY: the kernel has just opened it for us, closed on exec, and nobody else knows of it.
        return Ok(PeerLife::Watched(ProcessHandle::from_descriptor(unsafe { OwnedFd::from_raw_fd(descriptor) })));
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(PeerLife::Ended),
        error if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => Err(error),
        _ => Ok(PeerLife::Unknown),
    }
}

/// Linux 6.5; the number is the same on every 64-bit little-endian machine.
const SO_PEERPIDFD: libc::c_int = 77;

/// How many bytes were written to a socket that its other side has not confirmed. It is lost, or comes too late, if the socket is reset now.
///
/// # Errors
///
/// The operating system's, if it is no socket.
pub fn unconfirmed(socket: impl AsFd) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: SIOCOUTQ, which has this number, writes one `int`, and `count` is one that outlives the call. The descriptor is open, since `socket` is
    // borrowed.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(count).unwrap_or_default())
}

/// True if a socket listens.
///
/// # Errors
///
/// The operating system's, if it is no socket.
pub fn is_listening(socket: impl AsFd) -> io::Result<bool> {
    Ok(rustix::net::sockopt::socket_acceptconn(socket)?)
}

/// Waits until `fd` is ready or has ended, at most `timeout`. True if it is. Blocks meanwhile.
///
/// # Errors
///
/// The operating system's. A signal is not an error: the call returns as if the time was up, so look at the clock.
pub fn wait_ready(fd: impl AsFd, interest: Interest, timeout: Option<Duration>) -> io::Result<bool> {
    let flags = match interest {
        Interest::None => PollFlags::empty(),
        Interest::Read => PollFlags::IN,
        Interest::Write => PollFlags::OUT,
        Interest::ReadWrite => PollFlags::IN | PollFlags::OUT,
    };
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    match poll(&mut [PollFd::new(&fd, flags)], timeout.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_connection_begins_at_once_and_tells_how_it_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = begin_tcp(address).unwrap();
        assert!(wait_ready(&stream, Interest::Write, Some(Duration::from_secs(10))).unwrap());
        connection_error(&stream).unwrap();
        drop((listener, stream));
        // Refused at once, or soon.
        if let Ok(stream) = begin_tcp(address) {
            assert!(wait_ready(&stream, Interest::Write, Some(Duration::from_secs(10))).unwrap());
            assert_eq!(connection_error(&stream).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn the_kernel_says_who_is_there() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = peer_process(&one).unwrap();
        assert_eq!((peer.pid, peer.uid), (std::process::id(), rustix::process::getuid().as_raw()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(peer_process(&stream).unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn what_nobody_takes_is_not_confirmed() {
        use std::io::{Read, Write};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        assert_eq!(unconfirmed(&one).unwrap(), 0);
        one.set_nonblocking(true).unwrap();
        let mut written = 0;
        // Over loopback both sides' buffers take it, until they are full.
        while let Ok(count) = one.write(&[7; 65_536]) {
            written += count;
        }
        let waits = unconfirmed(&one).unwrap();
        assert!(waits > 0 && waits <= written, "{waits} of {written}");
        other.read_exact(&mut vec![0; written]).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while unconfirmed(&one).unwrap() > 0 {
            assert!(std::time::Instant::now() < until, "what was read is confirmed");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_life_of_a_peer_can_be_watched_without_its_number() {
        let (one, _other) = UnixStream::pair().unwrap();
        match peer_life(&one).unwrap() {
            PeerLife::Watched(process) => assert!(!process.has_ended().unwrap(), "it is this very process"),
            PeerLife::Unknown => {}
            PeerLife::Ended => panic!("this process lives"),
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(is_listening(&listener).unwrap() && !is_listening(&one).unwrap());
        assert!(matches!(peer_life(&listener).unwrap(), PeerLife::Unknown));
    }

    #[test]
    fn a_wait_ends_with_its_time() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(!wait_ready(&one, Interest::Read, Some(Duration::from_millis(1))).unwrap());
    }
}
