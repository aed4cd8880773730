//! The sockets of this machine as the kernel lists them: who listens, and who is connected to whom.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::unix_peers::UnixPeers;

/// A TCP or UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inet {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) listens: bool,
    pub(super) is_connected: bool,
    pub(super) inode: u64,
}

/// A Unix socket with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unix {
    pub(super) name: String,
    pub(super) listens: bool,
    pub(super) is_connected: bool,
    pub(super) inode: u64,
}

/// All of them in this network namespace.
pub(super) struct Sockets {
    pub(super) tcp: Vec<Inet>,
    pub(super) udp: Vec<Inet>,
    pub(super) unix: Vec<Unix>,
    pub(super) unix_peers: UnixPeers,
    /// The TCP socket of each pair of addresses, local one first.
    pairs: HashMap<(SocketAddr, SocketAddr), u64>,
}

impl Sockets {
    pub(super) fn read() -> Self {
        let inet = |names: [&str; 2]| -> Vec<Inet> {
            let texts = names.map(|name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
            texts.iter().flat_map(|text| text.lines().skip(1)).filter_map(inet).collect()
        };
        let tcp = inet(["tcp", "tcp6"]);
        let names = fs::read("/proc/net/unix").unwrap_or_default();
        let unix = String::from_utf8_lossy(&names).lines().skip(1).filter_map(unix).collect();
        let pairs = tcp.iter().map(|it| ((it.local, it.remote), it.inode)).collect();
        Self { tcp, unix_peers: UnixPeers::read(), udp: inet(["udp", "udp6"]), unix, pairs }
    }

    /// The socket at the other end of a TCP connection, if it is on this machine.
    pub(super) fn other_end(&self, it: &Inet) -> Option<u64> {
        self.pairs.get(&(it.remote, it.local)).copied().filter(|inode| *inode != 0)
    }
}

const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

/// A line of `/proc/net/tcp` and its kin, as proc(5) has them.
fn inet(line: &str) -> Option<Inet> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, local, remote, state, ..] = words[..] else { return None };
    Some(Inet {
        local: address(local)?,
        remote: address(remote)?,
        listens: state == LISTEN,
        is_connected: state == ESTABLISHED,
        inode: words.get(9)?.parse().ok()?,
    })
}

/// An address: words of 32 bits in the machine's order, each in hexadecimal, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_be);
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let whole = words.into_iter().fold(0_u128, |whole, word| whole << 32 | u128::from(word));
            // What came to a socket that takes both versions is the same address.
            Ipv6Addr::from(whole).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// A line of `/proc/net/unix`. The flag 0x10000 is set while it listens; state 3 is connected.
fn unix(line: &str) -> Option<Unix> {
    let mut words = line.split_ascii_whitespace();
    let flags = u32::from_str_radix(words.nth(3)?, 16).ok()?;
    let (state, inode) = (words.nth(1)?, words.next()?.parse::<u64>().ok()?);
    // A name may have blanks in it.
    let at = line.find(&format!(" {inode} ")).map(|at| at + inode.to_string().len() + 2)?;
    Some(Unix { name: line[at..].to_owned(), listens: flags & 0x1_0000 != 0, is_connected: state == "03", inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100";
        let it = inet(line).unwrap();
        assert_eq!((it.local.to_string().as_str(), it.listens, it.inode), ("127.0.0.1:8080", true, 4711));
        let line =
            "   1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000001000000:0016 01 0:0 0:0 0 0 0 12 1";
        let it = inet(line).unwrap();
        assert_eq!((it.local.to_string().as_str(), it.remote.to_string().as_str()), ("127.0.0.1:8080", "[::1]:22"));
        assert!(it.is_connected && !it.listens);
        let line = "0000000000000000: 00000002 00000000 00010000 0001 01 4712 /tmp/a b";
        let it = unix(line).unwrap();
        assert_eq!((it.name.as_str(), it.listens, it.is_connected, it.inode), ("/tmp/a b", true, false, 4712));
        let line = "0000000000000000: 00000003 00000000 00000000 0001 03 4713 @abstract";
        assert_eq!(unix(line).map(|it| (it.name, it.is_connected)), Some(("@abstract".to_owned(), true)));
        for other in ["", "sl local_address", "0: 0: 0 0"] {
            assert!(inet(other).is_none() && unix(other).is_none(), "{other}");
        }
    }
}
