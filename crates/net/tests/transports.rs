//! What every kind of transport promises, tried on each of them in each of its faces.

use std::{
    io::{self, IoSlice, Read, Write},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use crosstie_core::{Endpoint, Target};
use crosstie_net::{BlockingStream, MemoryListener, Peer, SocketListener, Transport, connect, connect_async};
use crosstie_sys::{Interest, wait_ready};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LONG: Duration = Duration::from_secs(10);

/// A listener of any kind.
enum Listener {
    Socket(SocketListener),
    Memory(MemoryListener),
}

impl Listener {
    /// Listens, and tells where to connect.
    fn bind(target: &Target) -> (Self, Target) {
        match target {
            Target::Mem { name } => (Self::Memory(MemoryListener::bind(name).unwrap()), target.clone()),
            _ => {
                let listener = SocketListener::bind(target).unwrap();
                let at = listener.local_endpoint().unwrap().target().clone();
                (Self::Socket(listener), at)
            }
        }
    }

    fn accept(&self) -> (Box<dyn Transport>, Peer) {
        match self {
            Self::Memory(listener) => (Box::new(listener.accept(LONG).unwrap()), Peer::Here),
            Self::Socket(listener) => {
                assert!(wait_ready(listener, Interest::Read, Some(LONG)).unwrap(), "nobody came");
                let (transport, peer) = listener.try_accept().unwrap().expect("somebody waits");
                (transport, peer)
            }
        }
    }
}

/// One address of each kind, not in use.
fn kinds() -> Vec<Target> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("transports-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(&name);
    ["tcp://127.0.0.1:0".to_owned(), format!("unix:{}", path.display()), format!("unix:@{name}"), format!("mem:{name}")]
        .iter()
        .map(|url| url.parse::<Endpoint>().unwrap().target().clone())
        .collect()
}

/// Two connected ends of each kind, with a name to tell them by.
fn pairs() -> Vec<(String, BlockingStream, BlockingStream)> {
    kinds()
        .iter()
        .map(|target| {
            let (listener, at) = Listener::bind(target);
            let near = connect(&at, LONG).unwrap();
            let (far, _) = listener.accept();
            (at.to_string(), near, BlockingStream::new(far, Some(LONG)))
        })
        .collect()
}

/// Bytes that are not all alike.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn all_bytes_arrive_in_order_both_ways_whatever_fits_at_once() {
    let sent = bytes(3_000_000);
    for (kind, mut near, mut far) in pairs() {
        thread::scope(|scope| {
            let echo = scope.spawn(move || {
                let mut buf = vec![0; 10_000];
                loop {
                    match far.read(&mut buf).unwrap() {
                        0 => return,
                        count => far.write_all(&buf[..count]).unwrap(),
                    }
                }
            });
            for piece in sent.chunks(50_000) {
                let mut back = vec![0; piece.len()];
                near.write_all(piece).unwrap();
                near.read_exact(&mut back).unwrap();
                assert_eq!(back, piece, "{kind}");
            }
            near.shutdown();
            echo.join().unwrap();
        });
    }
}

#[test]
fn a_read_and_a_write_that_cannot_go_on_end_with_their_time() {
    for (kind, mut near, _far) in pairs() {
        near.set_timeout(Some(Duration::from_millis(20)));
        assert_eq!(near.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut, "{kind}");
        let error = loop {
            if let Err(error) = near.write(&[0; 65_536]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{kind}: what nobody reads is bounded");
    }
}

#[test]
fn nothing_blocks_on_the_transport_itself() {
    for (kind, near, far) in pairs() {
        let (near, far) = (near.into_inner(), far.into_inner());
        assert_eq!(near.try_read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock, "{kind}");
        assert_eq!(near.try_write(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")]).unwrap(), 3, "{kind}");
        assert!(far.wait_ready(Interest::Read, Some(LONG)).unwrap(), "{kind}");
        let mut buf = [0; 8];
        assert_eq!((far.try_read(&mut buf).unwrap(), &buf[..3]), (3, &b"abc"[..]), "{kind}");
        while near.try_write(&[IoSlice::new(&[0; 65_536])]).is_ok() {}
        assert_eq!(
            near.try_write(&[IoSlice::new(&[0; 65_536])]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock,
            "{kind}"
        );
        assert!(!near.wait_ready(Interest::Write, Some(Duration::from_millis(1))).unwrap(), "{kind}");
    }
}

#[test]
fn the_end_is_seen_by_whoever_waits_after_all_that_came_before_it() {
    for (kind, mut near, mut far) in pairs() {
        let waiting = thread::spawn(move || {
            let mut all = Vec::new();
            far.read_to_end(&mut all).map(|_| all)
        });
        near.write_all(b"last words").unwrap();
        drop(near);
        assert_eq!(waiting.join().unwrap().unwrap(), b"last words", "{kind}");
    }
}

#[test]
fn a_write_to_somebody_who_is_gone_fails() {
    for (kind, mut near, far) in pairs() {
        drop(far);
        // The first one may leave before the news arrives.
        let error = loop {
            if let Err(error) = near.write(b"x") {
                break error.kind();
            }
        };
        assert!(matches!(error, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{kind}: {error:?}");
    }
}

#[test]
fn tokio_carries_the_same_bytes_over_accepted_and_over_made_connections() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = bytes(1_000_000);
    for target in kinds() {
        let (listener, at) = Listener::bind(&target);
        let exchange = async {
            let mut near = connect_async(&at).await.unwrap();
            let mut far = listener.accept().0.into_async().unwrap();
            let sending = async {
                near.write_all(&sent).await.unwrap();
                near.shutdown().await.unwrap();
                let mut back = Vec::new();
                near.read_to_end(&mut back).await.unwrap();
                back
            };
            let echoing = async {
                let mut all = Vec::new();
                far.read_to_end(&mut all).await.unwrap();
                far.write_all(&all).await.unwrap();
                drop(far);
            };
            tokio::join!(sending, echoing).0
        };
        let back = runtime.block_on(async { tokio::time::timeout(LONG, exchange).await.expect("in time") });
        assert!(back == sent, "{at}: {} of {} bytes", back.len(), sent.len());
    }
}

#[test]
fn a_listener_knows_who_comes() {
    for target in kinds() {
        let (listener, at) = Listener::bind(&target);
        let _near = connect(&at, LONG).unwrap();
        let (_far, peer) = listener.accept();
        match target {
            Target::Tcp { .. } => assert!(peer.address().is_some_and(|address| address.ip().is_loopback())),
            Target::Unix { .. } => assert_eq!(peer.process().map(|process| process.pid), Some(std::process::id())),
            _ => assert_eq!(peer, Peer::Here),
        }
    }
}

#[test]
fn nobody_there_is_told_at_once() {
    for target in kinds() {
        let (listener, at) = Listener::bind(&target);
        drop(listener);
        let kind = connect(&at, LONG).err().unwrap().kind();
        assert!(matches!(kind, io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound), "{at}: {kind:?}");
    }
    let udp: Endpoint = "udp://127.0.0.1:1".parse().unwrap();
    assert_eq!(connect(udp.target(), LONG).err().unwrap().kind(), io::ErrorKind::Unsupported);
}

#[test]
fn a_name_is_looked_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at: Endpoint = format!("tcp://localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let _near = connect(at.target(), LONG).unwrap();
    listener.accept().unwrap();
}
