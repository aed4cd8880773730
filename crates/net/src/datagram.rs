//! Datagrams: one message each, whole or not at all, over Unix sockets and UDP.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Error, HostPort, Kind, Target, UnixAddress};
use crosstie_sys::{Interest, wait_ready};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, getsockname,
        netdevice::name_to_index,
        recvfrom, send, socket_with,
        sockopt::{
            set_ip_add_membership_with_ifindex, set_ip_multicast_if_with_ifindex, set_ip_multicast_loop,
            set_ip_multicast_ttl, set_socket_reuseaddr, socket_send_buffer_size,
        },
    },
};
use tokio::io::unix::AsyncFd;

use crate::{socket::claim::Claim, watched::watched};

/// The most that a UDP datagram carries over IPv4 and IPv6: 65,535 bytes less the headers.
const MAX_UDP: (usize, usize) = (65_507, 65_527);
/// What Linux counts for each Unix datagram besides its bytes.
const UNIX_OVERHEAD: usize = 32;

/// A socket for datagrams: no order, no delivery, no doubling undone; what arrives is whole.
///
/// ```
/// use std::time::Duration;
///
/// let here = crosstie_net::receive_datagrams(&"udp://127.0.0.1:0".parse()?)?;
/// let there = crosstie_net::send_datagrams(here.endpoint())?;
/// there.send(b"hello", Duration::from_secs(1))?;
/// let mut buf = [0; 64];
/// let came = here.receive(&mut buf, Duration::from_secs(1))?;
/// assert_eq!(&buf[..came.len], b"hello");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Datagrams {
    socket: OwnedFd,
    max_len: usize,
    endpoint: Endpoint,
    /// The file of a Unix socket that receives.
    _file: Option<OwnFile>,
}

/// A datagram that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes it has.
    pub len: usize,
    /// Where it says it came from, which proves nothing; `None` over Unix sockets.
    pub from: Option<SocketAddr>,
}

/// A socket's file, removed in the end if it still is that socket's.
struct OwnFile {
    path: PathBuf,
    claim: Claim,
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.claim.is_still_ours(&self.path) {
            // Gone already is as good.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Receives datagrams at an endpoint, a multicast group among them.
///
/// # Errors
///
/// [`Kind::Denied`] beyond loopback without `?insecure`; [`Kind::Unsupported`] for a scheme without datagrams; [`Kind::Io`] where the operating
/// system refuses.
pub fn receive_datagrams(endpoint: &Endpoint) -> Result<Datagrams, Error> {
    check(endpoint)?;
    let bound = match endpoint.target() {
        Target::Unix { address } => receive_unix(address),
        Target::Udp { host } => {
            if !host.is_loopback() && !endpoint.options().insecure {
                let text = format!(
                    "'{endpoint}' can be reached from other machines, and nothing says who sends: receive on 127.0.0.1, or say '?insecure'"
                );
                return Err(Error::new(Kind::Denied, text));
            }
            receive_udp(host, endpoint)
        }
        _ => return Err(unsupported(endpoint)),
    };
    bound.map_err(|error| Error::new(Kind::Io, format!("cannot receive at '{endpoint}'")).because(error))
}

/// Sends datagrams to an endpoint. Nothing is sent yet, and over UDP nobody need be there.
///
/// # Errors
///
/// [`Kind::NoResponders`] if no Unix socket is there; [`Kind::Unsupported`] for a scheme without datagrams; [`Kind::Io`] where the operating
/// system refuses.
pub fn send_datagrams(endpoint: &Endpoint) -> Result<Datagrams, Error> {
    check(endpoint)?;
    let connected = match endpoint.target() {
        Target::Unix { address } => send_unix(address, endpoint),
        Target::Udp { host } => send_udp(host, endpoint),
        _ => return Err(unsupported(endpoint)),
    };
    connected.map_err(|error| {
        let is_nobody = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        let kind = if is_nobody { Kind::NoResponders } else { Kind::Io };
        Error::new(kind, format!("cannot send to '{endpoint}'")).because(error)
    })
}

impl Datagrams {
    /// The most bytes that one datagram carries here. Whatever is longer is refused before it is sent.
    pub const fn max_len(&self) -> usize {
        self.max_len
    }

    /// Where it receives, with the port that the system chose; or where it sends to.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends one datagram without waiting.
    ///
    /// # Errors
    ///
    /// [`Kind::TooLarge`], and nothing was sent; [`Kind::Full`] if the receiver does not keep up (Unix) or the system does not; [`Kind::NoResponders`] if
    /// nobody receives there, which over UDP is told of an earlier one, if at all.
    pub fn try_send(&self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > self.max_len {
            let (len, most) = (bytes.len(), self.max_len);
            let text = format!("the datagram has {len} bytes, '{}' carries {most}: split it", self.endpoint);
            return Err(Error::new(Kind::TooLarge, text));
        }
        match send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(Errno::AGAIN | Errno::NOBUFS) => Err(Error::new(Kind::Full, "no room for another datagram")),
            Err(error @ (Errno::CONNREFUSED | Errno::NOTCONN | Errno::CONNRESET)) => {
                let text = format!("nobody receives at '{}'", self.endpoint);
                Err(Error::new(Kind::NoResponders, text).because(io::Error::from(error)))
            }
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Takes one datagram without waiting; `None` if none is there.
    ///
    /// # Errors
    ///
    /// [`Kind::TooLarge`] if it is longer than `buf`: it is gone then, and its length is told; [`Kind::NoResponders`] on a sending socket as in
    /// [`Self::try_send`].
    pub fn try_receive(&self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        let room = buf.len();
        // With TRUNC the kernel tells the whole length, whatever fits.
        match recvfrom(&self.socket, buf, RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
            Ok((_, len, _)) if len > room => {
                let text = format!("a datagram of {len} bytes came, and there was room for {room}: it is lost");
                Err(Error::new(Kind::TooLarge, text))
            }
            Ok((_, len, from)) => Ok(Some(Received { len, from: from.and_then(|from| from.try_into().ok()) })),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Sends one datagram, waiting for room at most `timeout`. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// [`Kind::Timeout`], and as [`Self::try_send`].
    pub fn send(&self, bytes: &[u8], timeout: Duration) -> Result<(), Error> {
        self.wait(Interest::Write, timeout, || match self.try_send(bytes) {
            Err(error) if error.kind() == Kind::Full => Ok(None),
            outcome => outcome.map(Some),
        })
    }

    /// Takes one datagram, waiting for it at most `timeout`. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// [`Kind::Timeout`], and as [`Self::try_receive`].
    pub fn receive(&self, buf: &mut [u8], timeout: Duration) -> Result<Received, Error> {
        self.wait(Interest::Read, timeout, || self.try_receive(buf))
    }

    fn wait<T>(
        &self,
        interest: Interest,
        timeout: Duration,
        mut act: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let until = Instant::now() + timeout;
        loop {
            if let Some(done) = act()? {
                return Ok(done);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(Kind::Timeout, format!("no datagram at '{}' in time", self.endpoint)));
            }
            wait_ready(&self.socket, interest, Some(left))?;
        }
    }

    /// The same socket for tokio. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn into_async(self) -> io::Result<AsyncDatagrams> {
        let both = tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE;
        Ok(AsyncDatagrams { ready: watched(self.socket.try_clone()?, both)?, socket: self })
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket for datagrams on tokio. It has no time limits of its own: put `tokio::time::timeout` around what waits. Futures are safe to drop.
pub struct AsyncDatagrams {
    ready: AsyncFd<OwnedFd>,
    socket: Datagrams,
}

impl AsyncDatagrams {
    /// Sends one datagram once there is room.
    ///
    /// # Errors
    ///
    /// As [`Datagrams::try_send`].
    pub async fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        loop {
            let mut ready = self.ready.writable().await?;
            match self.socket.try_send(bytes) {
                Err(error) if error.kind() == Kind::Full => ready.clear_ready(),
                outcome => return outcome,
            }
        }
    }

    /// Takes the next datagram.
    ///
    /// # Errors
    ///
    /// As [`Datagrams::try_receive`].
    pub async fn receive(&self, buf: &mut [u8]) -> Result<Received, Error> {
        loop {
            let mut ready = self.ready.readable().await?;
            if let Some(received) = self.socket.try_receive(buf)? {
                return Ok(received);
            }
            ready.clear_ready();
        }
    }

    /// The socket itself.
    pub const fn get_ref(&self) -> &Datagrams {
        &self.socket
    }
}

fn socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

fn unix_address(address: &UnixAddress) -> io::Result<SocketAddrUnix> {
    Ok(match address {
        UnixAddress::Path(path) => SocketAddrUnix::new(path)?,
        UnixAddress::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
    })
}

fn of_unix(socket: OwnedFd, endpoint: Endpoint, file: Option<OwnFile>) -> io::Result<Datagrams> {
    let max_len = socket_send_buffer_size(&socket)?.saturating_sub(UNIX_OVERHEAD);
    Ok(Datagrams { socket, max_len, endpoint, _file: file })
}

fn receive_unix(address: &UnixAddress) -> io::Result<Datagrams> {
    let (it, endpoint) = (socket(AddressFamily::UNIX)?, Endpoint::new(Target::Unix { address: address.clone() }));
    let UnixAddress::Path(path) = address else {
        bind(&it, &unix_address(address)?)?;
        return of_unix(it, endpoint, None);
    };
    let mut claim = Claim::lay(path)?;
    // Under the claim, as with listeners: the file of a socket that is dead is removed, one that lives is not.
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|meta| std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()));
    if is_socket && connect(&socket(AddressFamily::UNIX)?, &unix_address(address)?) == Err(Errno::CONNREFUSED) {
        std::fs::remove_file(path)?;
    }
    bind(&it, &unix_address(address)?)?;
    claim.made(path)?;
    of_unix(it, endpoint, Some(OwnFile { path: path.clone(), claim }))
}

fn send_unix(address: &UnixAddress, endpoint: &Endpoint) -> io::Result<Datagrams> {
    let it = socket(AddressFamily::UNIX)?;
    connect(&it, &unix_address(address)?)?;
    of_unix(it, endpoint.clone(), None)
}

/// The first address of a host. Blocks while a name is looked up.
fn resolved(host: &HostPort) -> io::Result<SocketAddr> {
    let first = (host.host.as_str(), host.port).to_socket_addrs()?.next();
    first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

fn udp(address: SocketAddr) -> io::Result<(OwnedFd, usize)> {
    let (family, max_len) =
        if address.is_ipv4() { (AddressFamily::INET, MAX_UDP.0) } else { (AddressFamily::INET6, MAX_UDP.1) };
    Ok((socket(family)?, max_len))
}

/// The group, if an address is one, and the interface that was named for it; zero leaves it to the system.
fn group(it: &OwnedFd, address: SocketAddr, endpoint: &Endpoint) -> io::Result<Option<(Ipv4Addr, u32)>> {
    let ip = match address.ip() {
        ip if !ip.is_multicast() => return Ok(None),
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => {
            let text = "multicast needs an IPv4 group, as in 'udp://239.0.0.1:7000'";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
    };
    let interface = endpoint.options().iface.as_deref().map_or(Ok(0), |name| name_to_index(it, name))?;
    Ok(Some((ip, interface)))
}

fn receive_udp(host: &HostPort, endpoint: &Endpoint) -> io::Result<Datagrams> {
    let address = resolved(host)?;
    let (it, max_len) = udp(address)?;
    let group = group(&it, address, endpoint)?;
    if let Some((ip, interface)) = group {
        // Several receivers of one machine share a group.
        set_socket_reuseaddr(&it, true)?;
        bind(&it, &address)?;
        set_ip_add_membership_with_ifindex(&it, &ip, &Ipv4Addr::UNSPECIFIED, interface)?;
    } else {
        bind(&it, &address)?;
    }
    let bound = SocketAddr::try_from(getsockname(&it)?).unwrap_or(address);
    let host = HostPort { host: bound.ip().to_string(), port: bound.port() };
    let endpoint = Endpoint::new(Target::Udp { host }).with_options(endpoint.options().clone());
    Ok(Datagrams { socket: it, max_len, endpoint, _file: None })
}

fn send_udp(host: &HostPort, endpoint: &Endpoint) -> io::Result<Datagrams> {
    let address = resolved(host)?;
    let (it, max_len) = udp(address)?;
    if let Some((ip, interface)) = group(&it, address, endpoint)? {
        let options = endpoint.options();
        set_ip_multicast_ttl(&it, options.ttl.unwrap_or(1).into())?;
        set_ip_multicast_loop(&it, options.multicast_loop.unwrap_or(true))?;
        if interface != 0 {
            set_ip_multicast_if_with_ifindex(&it, &ip, &Ipv4Addr::UNSPECIFIED, interface)?;
        }
    }
    connect(&it, &address)?;
    Ok(Datagrams { socket: it, max_len, endpoint: endpoint.clone(), _file: None })
}

fn check(endpoint: &Endpoint) -> Result<(), Error> {
    if !endpoint.may_be_opened() {
        let text = format!("'{endpoint}' must come from the caller's own code or command line (`Endpoint::trusted`)");
        return Err(Error::new(Kind::Denied, text));
    }
    if endpoint.options().fault.is_some() {
        return Err(Error::new(Kind::Unsupported, format!("'{endpoint}': faults are not made on datagrams yet")));
    }
    Ok(())
}

fn unsupported(endpoint: &Endpoint) -> Error {
    Error::new(Kind::Unsupported, format!("datagrams need unix: or udp:, found '{endpoint}'"))
}
