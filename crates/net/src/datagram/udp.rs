//! Datagrams over `udp:`, to one receiver or to a group.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs},
    os::fd::OwnedFd,
};

use crosstie_core::{Endpoint, HostPort, Target};
use rustix::net::{
    AddressFamily, RecvFlags, bind, connect, getsockname,
    netdevice::name_to_index,
    recvfrom,
    sockopt::{
        set_ip_add_membership_with_ifindex, set_ip_multicast_if_with_ifindex, set_ip_multicast_loop,
        set_ip_multicast_ttl, set_socket_reuseaddr,
    },
};

use super::{
    carrier::Received,
    datagrams::Datagrams,
    socket::{Socket, socket},
};

/// The most that a datagram carries over IPv4: 65,535 bytes less the headers.
pub(crate) const LONGEST: usize = 65_507;
/// And over IPv6, whose headers do not count.
const LONGEST_IPV6: usize = 65_527;

pub(super) fn receive(host: &HostPort, endpoint: &Endpoint) -> io::Result<Datagrams> {
    let address = resolved(host)?;
    let (it, max_len) = open(address)?;
    if let Some((ip, interface)) = group(&it, address, endpoint)? {
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
    Ok(datagrams(it, max_len, endpoint))
}

pub(super) fn send(host: &HostPort, endpoint: &Endpoint) -> io::Result<Datagrams> {
    let address = resolved(host)?;
    if address.port() == 0 {
        // The system takes it, and sends it nowhere.
        let text = "expected the port where somebody receives, found 0, which only who receives may name";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let (it, max_len) = open(address)?;
    if let Some((ip, interface)) = group(&it, address, endpoint)? {
        let options = endpoint.options();
        set_ip_multicast_ttl(&it, options.ttl.unwrap_or(1).into())?;
        set_ip_multicast_loop(&it, options.multicast_loop.unwrap_or(true))?;
        if interface != 0 {
            set_ip_multicast_if_with_ifindex(&it, &ip, &Ipv4Addr::UNSPECIFIED, interface)?;
        }
    }
    connect(&it, &address)?;
    Ok(datagrams(it, max_len, endpoint.clone()))
}

fn datagrams(socket: OwnedFd, max_len: usize, endpoint: Endpoint) -> Datagrams {
    Datagrams::new(Socket { socket, max_len, endpoint: endpoint.clone(), take, _kept: () }, endpoint)
}

fn take(socket: &OwnedFd, buf: &mut [u8]) -> io::Result<Received> {
    let (_, len, from) = recvfrom(socket, buf, RecvFlags::DONTWAIT | RecvFlags::TRUNC)?;
    Ok(Received { len, from: from.and_then(|from| from.try_into().ok()), sender: None })
}

/// The first address of a host. Blocks while a name is looked up.
fn resolved(host: &HostPort) -> io::Result<SocketAddr> {
    let first = (host.host.as_str(), host.port).to_socket_addrs()?.next();
    first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

fn open(address: SocketAddr) -> io::Result<(OwnedFd, usize)> {
    let (family, max_len) =
        if address.is_ipv4() { (AddressFamily::INET, LONGEST) } else { (AddressFamily::INET6, LONGEST_IPV6) };
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
