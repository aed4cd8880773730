//! Which Unix socket is connected to which, as the kernel tells over netlink, sock_diag(7). No other place says it of sockets of other processes.
#![expect(clippy::host_endian_bytes, reason = "netlink speaks the machine's order")]

use std::{collections::HashMap, io};

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SOCK_DIAG, recv, send, socket_with},
};

/// The numbers of sockets, by the number of the one that they are connected to.
pub(super) struct UnixPeers {
    by_peer: HashMap<u64, Vec<u64>>,
}

/// `SOCK_DIAG_BY_FAMILY`, also of the answers.
const BY_FAMILY: u16 = 20;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST`, and all there are: `NLM_F_ROOT`, `NLM_F_MATCH`.
const REQUEST_ALL: u16 = 0x301;
/// `UDIAG_SHOW_PEER`, and the attribute of that.
const SHOW_PEER: u32 = 4;
const PEER: u16 = 2;
/// Of a message, and of what comes before the attributes of an answer.
const HEAD: usize = 16;
const SOCKET: usize = 16;
/// More sockets than this one has are not looked at: 64 MiB of answers.
const MOST_READS: usize = 2048;

impl UnixPeers {
    /// All of them in this network namespace; none where the kernel does not tell.
    pub(super) fn read() -> Self {
        let mut by_peer: HashMap<u64, Vec<u64>> = HashMap::new();
        // What it told before it failed is as true.
        let _ = ask(|socket, peer| by_peer.entry(peer).or_default().push(socket));
        Self { by_peer }
    }

    /// The sockets that are connected to this one.
    pub(super) fn of(&self, socket: u64) -> impl Iterator<Item = u64> + '_ {
        self.by_peer.get(&socket).into_iter().flatten().copied()
    }
}

fn ask(mut tell: impl FnMut(u64, u64)) -> io::Result<()> {
    let netlink = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    let mut question = Vec::new();
    for part in [&40_u32.to_ne_bytes()[..], &BY_FAMILY.to_ne_bytes(), &REQUEST_ALL.to_ne_bytes(), &[0; 8]] {
        question.extend_from_slice(part);
    }
    // The family, in all states, of any number, with who is at the other end, whatever the cookie.
    let family = u8::try_from(AddressFamily::UNIX.as_raw()).unwrap_or(1);
    for part in [&[family, 0, 0, 0][..], &[0xFF; 4], &[0; 4], &SHOW_PEER.to_ne_bytes(), &[0xFF; 8]] {
        question.extend_from_slice(part);
    }
    send(&netlink, &question, SendFlags::empty())?;
    let mut buf = vec![0; 32 * 1024];
    for _ in 0..MOST_READS {
        // The kernel has its answer ready before it takes the question, so there is nothing to wait for.
        let len = match recv(&netlink, &mut buf[..], RecvFlags::DONTWAIT) {
            Ok((len, _)) => len,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if !read(&buf[..len], &mut tell) {
            break;
        }
    }
    Ok(())
}

/// Reads what came at once; false if that was the end.
fn read(mut bytes: &[u8], tell: &mut impl FnMut(u64, u64)) -> bool {
    while let Some((head, _)) = bytes.split_first_chunk::<HEAD>() {
        let [l0, l1, l2, l3, t0, t1, ..] = *head;
        let (length, kind) = (u32::from_ne_bytes([l0, l1, l2, l3]) as usize, u16::from_ne_bytes([t0, t1]));
        let Some(message) = bytes.get(HEAD..length) else { return false };
        match kind {
            ERROR | DONE => return false,
            BY_FAMILY => {
                if let Some((socket, peer)) = connected(message) {
                    tell(socket, peer);
                }
            }
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

/// A socket and the one that it is connected to.
fn connected(message: &[u8]) -> Option<(u64, u64)> {
    let (socket, mut attributes) = message.split_first_chunk::<SOCKET>()?;
    let [_, _, _, _, n0, n1, n2, n3, ..] = *socket;
    while let Some(([l0, l1, k0, k1], _)) = attributes.split_first_chunk() {
        let (length, kind) = (u16::from_ne_bytes([*l0, *l1]) as usize, u16::from_ne_bytes([*k0, *k1]));
        let value = attributes.get(4..length)?;
        if kind == PEER {
            let peer = u32::from_ne_bytes(value.try_into().ok()?);
            // Zero is nobody: it has hung up.
            return (peer != 0).then_some((u32::from_ne_bytes([n0, n1, n2, n3]).into(), peer.into()));
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{
        os::{fd::AsRawFd, unix::net::UnixStream},
        path::Path,
        time::{Duration, Instant},
    };

    use super::*;

    fn number(stream: &UnixStream) -> u64 {
        let link = Path::new("/proc/self/fd").join(stream.as_raw_fd().to_string()).read_link().unwrap();
        link.to_str().unwrap().trim_start_matches("socket:[").trim_end_matches(']').parse().unwrap()
    }

    #[test]
    fn the_two_ends_of_a_pair_are_each_others_and_nobody_is_when_one_is_gone() {
        let (one, other) = UnixStream::pair().unwrap();
        let numbers = (number(&one), number(&other));
        let peers = UnixPeers::read();
        assert_eq!(peers.of(numbers.0).collect::<Vec<_>>(), [numbers.1]);
        assert_eq!(peers.of(numbers.1).collect::<Vec<_>>(), [numbers.0]);
        drop(other);
        // A child that another test has just forked has it until it becomes another program.
        let until = Instant::now() + Duration::from_secs(60);
        while UnixPeers::read().of(numbers.1).count() > 0 {
            assert!(Instant::now() < until, "whoever hung up is nobody's peer");
        }
    }

    #[test]
    fn what_is_cut_or_no_answer_tells_nothing() {
        let mut whole = Vec::new();
        for part in [&40_u32.to_ne_bytes()[..], &BY_FAMILY.to_ne_bytes(), &[0; 10], &[1, 1, 1, 0]] {
            whole.extend_from_slice(part);
        }
        for part in [&7_u32.to_ne_bytes()[..], &[0; 8], &8_u16.to_ne_bytes(), &PEER.to_ne_bytes(), &9_u32.to_ne_bytes()]
        {
            whole.extend_from_slice(part);
        }
        let told = |bytes: &[u8]| {
            let mut told = Vec::new();
            read(bytes, &mut |socket, peer| told.push((socket, peer)));
            told
        };
        assert_eq!(told(&whole), [(7, 9)]);
        assert!((0..whole.len()).all(|cut| told(&whole[..cut]).is_empty()));
        // A length of nothing ends it, and does not hang.
        assert!(told(&[0; 64]).is_empty());
        whole[34..36].copy_from_slice(&3_u16.to_ne_bytes());
        assert!(told(&whole).is_empty(), "another attribute");
    }
}
