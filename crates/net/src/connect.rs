//! Active connections over TCP and Unix sockets: for tokio, and for a thread of its own.

use std::{
    io,
    net::ToSocketAddrs,
    os::{linux::net::SocketAddrExt, unix::net::SocketAddr},
    time::{Duration, Instant},
};

use crosstie_core::{Target, UnixAddress};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::socket::{SocketTransport, tcp::TcpTransport, unix::UnixTransport};

/// A two-way stream of bytes for tokio.
pub trait AsyncStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AsyncStream for T {}

fn unsupported(target: &Target) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("a stream connection needs tcp: or unix:, found '{target}'"))
}

/// Connects within `timeout` and returns a transport that never blocks. Blocks meanwhile.
///
/// # Errors
///
/// The operating system's; `Unsupported` for a scheme that is neither `tcp:` nor `unix:`.
pub fn connect(target: &Target, timeout: Duration) -> io::Result<Box<dyn SocketTransport>> {
    match target {
        Target::Tcp { host } => Ok(Box::new(TcpTransport::new(connect_tcp(&host.host, host.port, timeout)?)?)),
        Target::Unix { address } => {
            let stream = match address {
                UnixAddress::Path(path) => std::os::unix::net::UnixStream::connect(path)?,
                UnixAddress::Abstract(name) => {
                    std::os::unix::net::UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?
                }
            };
            Ok(Box::new(UnixTransport::new(stream)?))
        }
        other => Err(unsupported(other)),
    }
}

/// Tries every address of the name within one time limit.
fn connect_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<std::net::TcpStream> {
    let until = Instant::now() + timeout;
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("the name '{host}' has no address"));
    for address in (host, port).to_socket_addrs()? {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match std::net::TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connects on the current tokio runtime. It has no time limit of its own: dropping the future gives up.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_async(target: &Target) -> io::Result<Box<dyn AsyncStream>> {
    match target {
        Target::Tcp { host } => {
            let stream = tokio::net::TcpStream::connect((host.host.as_str(), host.port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Target::Unix { address: UnixAddress::Path(path) } => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        Target::Unix { address: UnixAddress::Abstract(name) } => {
            let stream = std::os::unix::net::UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
            stream.set_nonblocking(true)?;
            Ok(Box::new(tokio::net::UnixStream::from_std(stream)?))
        }
        other => Err(unsupported(other)),
    }
}
