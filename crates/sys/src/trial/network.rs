//! Network namespaces, and network interfaces whose other end is a descriptor. For tests of networks without a network.

use std::{
    ffi::CStr,
    fs, io,
    net::Ipv4Addr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Puts the calling thread, and those that it begins, into a fresh network namespace with nothing in it but a loopback interface that is up.
///
/// Without the right to it, a process of one thread gets it by a user namespace of its own, in which it is who it was.
///
/// # Errors
///
/// The operating system's: mostly that neither is allowed.
pub fn enter_own_network() -> io::Result<()> {
    if unshare(libc::CLONE_NEWNET).is_err() {
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    }
    raise(&socket()?, c"lo")
}

fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes a number and touches no memory of this process; no descriptor table is separated.
    done(unsafe { libc::unshare(flags) })
}

/// A network interface of the current namespace with an address in a network of 256. What is sent through it is read from the descriptor, one
/// IP packet at a time, and what is written there comes in.
///
/// # Errors
///
/// The operating system's: mostly that there is no `/dev/net/tun`, or no right to it.
pub fn tunnel(name: &CStr, address: Ipv4Addr) -> io::Result<OwnedFd> {
    let mode = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK;
    let tunnel = rustix::fs::open("/dev/net/tun", mode, rustix::fs::Mode::empty()).map_err(|error| {
        io::Error::new(io::Error::from(error).kind(), format!("/dev/net/tun cannot be opened: {error}"))
    })?;
    let mut request = named(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    ioctl(tunnel.as_fd(), libc::TUNSETIFF, &mut request)?;
    let socket = socket()?;
    for (number, address) in [(libc::SIOCSIFADDR, address), (libc::SIOCSIFNETMASK, Ipv4Addr::new(255, 255, 255, 0))] {
        let mut request = named(name)?;
        request.ifr_ifru.ifru_addr = of(address);
        ioctl(socket.as_fd(), number, &mut request)?;
    }
    raise(&socket, name)?;
    Ok(tunnel)
}

fn raise(socket: &OwnedFd, name: &CStr) -> io::Result<()> {
    let mut request = named(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_MULTICAST) as libc::c_short;
    ioctl(socket.as_fd(), libc::SIOCSIFFLAGS, &mut request)
}

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers; what it returns is a descriptor that nobody else knows of, or an error.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    done(socket)?;
    // SAFETY: as above: it is open, and ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

fn named(name: &CStr) -> io::Result<libc::ifreq> {
    // SAFETY: numbers, arrays of numbers and null pointers: all zeroes are a value of each.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let bytes = name.to_bytes();
    if bytes.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(bytes) {
        *place = *byte as libc::c_char;
    }
    Ok(request)
}

fn of(address: Ipv4Addr) -> libc::sockaddr {
    let [a, b, c, d] = address.octets();
    // The port, then the address, both in the order of the network.
    let mut data = [0; 14];
    for (place, byte) in data[2..].iter_mut().zip([a, b, c, d]) {
        *place = byte as libc::c_char;
    }
    libc::sockaddr { sa_family: libc::AF_INET as libc::sa_family_t, sa_data: data }
}

fn ioctl(on: BorrowedFd<'_>, number: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: all numbers used here take an `ifreq`, which the kernel reads and may write, no more than its size; it outlives the call.
    done(unsafe { libc::ioctl(on.as_raw_fd(), number, std::ptr::from_mut(request)) })
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
