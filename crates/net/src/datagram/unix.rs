//! Datagrams over `unix:`: whole, in order, and never lost while the receiver lives.

use std::{fs, io, os::fd::OwnedFd, path::PathBuf};

use crosstie_core::{Endpoint, Target, UnixAddress};
use crosstie_sys::{receive_from_process, tell_senders};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, bind, connect, sockopt::socket_send_buffer_size},
};

use super::{
    carrier::Received,
    datagrams::Datagrams,
    socket::{Socket, socket},
};
use crate::socket::claim::{Claim, has_socket};

/// What Linux counts for each datagram besides its bytes.
const OVERHEAD: usize = 32;

/// A socket's file, removed in the end if it still is that socket's.
struct OwnFile {
    path: PathBuf,
    claim: Claim,
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.claim.is_still_ours(&self.path) {
            // Gone already is as good.
            let _ = fs::remove_file(&self.path);
        }
    }
}

pub(super) fn receive(address: &UnixAddress) -> io::Result<Datagrams> {
    let (it, endpoint) = (socket(AddressFamily::UNIX)?, Endpoint::new(Target::Unix { address: address.clone() }));
    tell_senders(&it)?;
    let UnixAddress::Path(path) = address else {
        bind(&it, &of(address)?)?;
        return datagrams(it, endpoint, None);
    };
    let mut claim = Claim::lay(path)?;
    // Under the claim, as with listeners: the file of a socket that is dead is removed, one that lives is not.
    if has_socket(path)? && connect(&socket(AddressFamily::UNIX)?, &of(address)?) == Err(Errno::CONNREFUSED) {
        fs::remove_file(path)?;
    }
    bind(&it, &of(address)?)?;
    claim.made(path)?;
    datagrams(it, endpoint, Some(OwnFile { path: path.clone(), claim }))
}

pub(super) fn send(address: &UnixAddress, endpoint: &Endpoint) -> io::Result<Datagrams> {
    let it = socket(AddressFamily::UNIX)?;
    connect(&it, &of(address)?)?;
    datagrams(it, endpoint.clone(), None)
}

fn of(address: &UnixAddress) -> io::Result<SocketAddrUnix> {
    Ok(match address {
        UnixAddress::Path(path) => SocketAddrUnix::new(path)?,
        UnixAddress::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
    })
}

fn datagrams(socket: OwnedFd, endpoint: Endpoint, file: Option<OwnFile>) -> io::Result<Datagrams> {
    let max_len = socket_send_buffer_size(&socket)?.saturating_sub(OVERHEAD);
    Ok(Datagrams::new(Socket { socket, max_len, endpoint: endpoint.clone(), take, _kept: file }, endpoint))
}

fn take(socket: &OwnedFd, buf: &mut [u8]) -> io::Result<Received> {
    let (len, sender) = receive_from_process(socket, buf)?;
    Ok(Received { len, from: None, sender })
}
