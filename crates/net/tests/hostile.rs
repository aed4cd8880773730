//! Peers that break the rules of what two processes share: there is an error in time, and nobody else is hurt.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    sync::mpsc,
    thread,
    time::Duration,
};

use crosstie_core::{Endpoint, Kind};
use crosstie_net::{AsyncListener, Connection, Listener, connector, listen, wait_for_any};
use crosstie_shm::{Directory, StreamMemory};
use crosstie_sys::{connect_unix, send_descriptors};
use rustix::{
    event::{EventfdFlags, eventfd},
    io::ioctl_fionbio,
};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);
const CAPACITY: u32 = 128 * 1024;

fn name(what: &str) -> String {
    format!("hostile-{what}-{}", std::process::id())
}

fn place(name: &str) -> (Box<dyn Listener>, PathBuf) {
    let listener = listen(&format!("shm:{name}").parse().unwrap()).unwrap();
    (listener, Directory::of_user().unwrap().path().join(format!("{name}.stream")))
}

/// What `act` gives, within a time that is long for whoever keeps its own.
fn in_time<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(act()));
    told.recv_timeout(LONG).unwrap_or_else(|_| panic!("{what}: it does not end"))
}

/// One who connects by hand.
struct ByHand {
    memory: StreamMemory,
    bells: [OwnedFd; 4],
    socket: UnixStream,
}

fn bell() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}

fn greeting() -> Vec<u8> {
    [&b"ctstream"[..], &1_u32.to_le_bytes(), &CAPACITY.to_le_bytes()].concat()
}

fn by_hand(listener: &dyn Listener, at: &PathBuf) -> (Connection, ByHand) {
    let (memory, file) = StreamMemory::create(CAPACITY).unwrap();
    let (bells, socket) = ([bell(), bell(), bell(), bell()], UnixStream::connect(at).unwrap());
    let mut descriptors = vec![file.as_fd()];
    descriptors.extend(bells.iter().map(AsFd::as_fd));
    send_descriptors(&socket, &greeting(), &descriptors).unwrap();
    (listener.accept(LONG).unwrap(), ByHand { memory, bells, socket })
}

impl ByHand {
    /// Bells that both have: what one makes of them the other has, too.
    fn have_bells_block(&self) {
        self.bells.iter().for_each(|bell| ioctl_fionbio(bell, false).unwrap());
    }

    #[allow(clippy::host_endian_bytes, reason = "the kernel reads the number on this very machine")]
    fn fill_bells(&self) {
        for bell in &self.bells {
            let _ = rustix::io::write(bell, &(u64::MAX - 1).to_ne_bytes());
        }
    }
}

#[test]
fn bells_that_block_hold_nobody_up_who_reads_or_waits() {
    in_time("a silent bell that blocks", || {
        let (listener, at) = place(&name("silent"));
        let (connection, peer) = by_hand(&*listener, &at);
        peer.have_bells_block();
        let mut buf = [0; 8];
        assert_eq!(connection.read_within(&mut buf, Some(SHORT)).unwrap_err().kind(), io::ErrorKind::TimedOut);
        wait_for_any([connection.arm_reading()], Some(SHORT)).unwrap();
        // What wakes is the socket, and the bell is as silent as before.
        (&peer.socket).write_all(b"x").unwrap();
        assert_eq!(connection.read_within(&mut buf, Some(LONG)).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn bells_that_are_full_hold_nobody_up_who_writes() {
    in_time("a full bell that blocks", || {
        let (listener, at) = place(&name("full"));
        let (connection, peer) = by_hand(&*listener, &at);
        peer.have_bells_block();
        peer.fill_bells();
        for _ in 0..3 {
            assert!(!peer.memory.arm_reading(), "it says that it sleeps");
            assert_eq!(connection.write_within(b"hello", Some(LONG)).unwrap(), 5);
            assert_eq!(peer.memory.try_read(&mut [0; 8]).unwrap().0, 5, "the control: it comes all the same");
        }
        drop(connection);
    });
}

#[test]
fn whoever_hands_over_something_else_is_sent_away_and_the_next_is_served() {
    let (listener, at) = place(&name("else"));
    let (memory, file) = StreamMemory::create(CAPACITY).unwrap();
    let (reader, writer) = io::pipe().unwrap();
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let bells = [bell(), bell(), bell(), bell(), bell()];
    let [a, b, c, d, e] = bells.each_ref().map(AsFd::as_fd);
    let (file, pipe, null) = (file.as_fd(), writer.as_fd(), null.as_fd());
    let wrong: [(&str, &[BorrowedFd<'_>]); 7] = [
        ("a pipe as a bell", &[file, a, b, c, pipe]),
        ("a device as a bell", &[file, null, b, c, d]),
        ("the memory as a bell", &[file, a, b, file, d]),
        ("too many", &[file, a, b, c, d, e]),
        ("too few", &[file, a, b, c]),
        ("none", &[]),
        ("a bell as the memory", &[a, b, c, d, e]),
    ];
    for (what, descriptors) in wrong {
        let mut socket = UnixStream::connect(&at).unwrap();
        send_descriptors(&socket, &greeting(), descriptors).unwrap();
        assert!(listener.try_accept().unwrap().is_none(), "{what}");
        socket.set_read_timeout(Some(LONG)).unwrap();
        assert!(matches!(socket.read(&mut [0; 8]), Ok(0) | Err(_)), "{what}: it sees the end");
    }
    for half in [&b"ctstr"[..], b"", &greeting()[..15], b"GET / HTTP/1.1\r\n"] {
        let socket = UnixStream::connect(&at).unwrap();
        (&socket).write_all(half).unwrap();
        drop(socket);
        assert!(listener.try_accept().unwrap().is_none());
    }
    drop((memory, reader));
    let (connection, peer) = by_hand(&*listener, &at);
    let _ = peer.memory.try_write(&[io::IoSlice::new(b"hello")]).unwrap();
    let mut buf = [0; 8];
    assert_eq!(connection.read_within(&mut buf, Some(LONG)).unwrap(), 5, "the control: who keeps the rules is served");
}

#[tokio::test]
async fn those_who_come_and_say_nothing_keep_nobody_out() {
    let (listener, at) = place(&name("crowd"));
    let endpoint = listener.endpoint().clone();
    // They are all there before anybody is accepted, and the one who means it comes last.
    let all: Vec<_> = (0..300).map(|_| connect_unix(&at).unwrap()).collect();
    let mut honest = connector(&endpoint).unwrap().connect(LONG).unwrap();
    honest.write_all(b"hello").unwrap();
    let listener = AsyncListener::new(listener).unwrap();
    let accepted = tokio::time::timeout(LONG, listener.accept()).await.expect("it is let in").unwrap();
    let mut buf = [0; 8];
    assert_eq!(accepted.read_within(&mut buf, Some(LONG)).unwrap(), 5);
    drop(all);
}

#[test]
fn a_socket_whose_owner_accepts_nobody_is_left_to_it_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let owner = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&owner, 0).unwrap();
    let mut waiting = Vec::new();
    loop {
        match connect_unix(&path) {
            Ok(socket) => waiting.push(socket),
            Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    let endpoint: Endpoint = format!("unix:{}", path.display()).parse().unwrap();
    let error = in_time("listening where somebody sleeps", {
        let endpoint = endpoint.clone();
        move || listen(&endpoint).err().unwrap()
    });
    assert_eq!(error.kind(), Kind::Io, "{error}");
    // The control: once it is gone its place is free.
    drop((owner, waiting));
    listen(&endpoint).unwrap();
}
