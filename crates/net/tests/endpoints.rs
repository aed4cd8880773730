//! Who may open which endpoint, and whose socket is whose.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    time::Duration,
};

use crosstie_core::{Endpoint, Kind, Target};
use crosstie_net::{Capabilities, Faults, SocketListener, connector, listen, listen_for_frames, receive_datagrams};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};

const LONG: Duration = Duration::from_secs(60);

fn parsed(text: &str) -> Endpoint {
    text.parse().unwrap()
}

/// Text that came from another process is parsed like any other, and nobody has vouched for it.
#[test]
fn text_from_elsewhere_opens_nothing_that_acts_with_our_rights() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("witness");
    let fifo = folder.path().join("fifo");
    let came = [format!("exec:touch {}", witness.display()), "fd:0".to_owned(), format!("fifo:{}", fifo.display())];
    for text in &came {
        let endpoint = parsed(text);
        assert_eq!(connector(&endpoint).err().unwrap().kind(), Kind::Denied, "{text}");
        assert_eq!(listen(&endpoint).err().unwrap().kind(), Kind::Denied, "{text}");
        // Nor does taking it apart and putting it together help.
        let again = Endpoint::new(endpoint.target().clone()).with_options(endpoint.options().clone());
        assert_eq!(connector(&again).err().unwrap().kind(), Kind::Denied, "{text}");
    }
    // Files of certificates and keys are named by the caller alone. Nobody can make us show who we are with them.
    for text in ["tls://127.0.0.1:1?ca=/etc/passwd", "tls://127.0.0.1:1?cert=/a&key=/b"] {
        assert_eq!(connector(&parsed(text)).err().unwrap().kind(), Kind::Denied, "{text}");
        assert_eq!(listen(&parsed(text)).err().unwrap().kind(), Kind::Denied, "{text}");
    }
    let with_faults = parsed("mem:x?fault=drop:1%");
    assert_eq!(connector(&with_faults).err().unwrap().kind(), Kind::Denied);
    assert!(!witness.exists() && !fifo.exists(), "nothing has happened");
    // What may not be opened from elsewhere is what the matrix says.
    for capabilities in Capabilities::ALL {
        let is_denied = came.iter().any(|text| parsed(text).scheme() == capabilities.scheme);
        assert_eq!(is_denied, capabilities.callers_own, "{}", capabilities.scheme);
    }
}

/// The control: the same text on the caller's own command line.
#[test]
fn control_what_the_caller_vouches_for_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("witness");
    let endpoint = parsed(&format!("exec:touch {}", witness.display())).trusted();
    let mut connection = connector(&endpoint).unwrap().connect(LONG).unwrap();
    assert_eq!(connection.read(&mut [0]).unwrap(), 0, "it ends without a word");
    assert!(connection.death(LONG).unwrap().is_some());
    assert!(witness.exists());
}

/// As when there are no more descriptors for a while.
#[test]
fn a_named_pipe_that_could_not_be_opened_again_is_opened_once_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("pipe"), folder.path().join("away"));
    let endpoint = parsed(&format!("fifo:{}", path.display())).trusted();
    let (listener, connector) = (listen(&endpoint).unwrap(), connector(&endpoint).unwrap());
    connector.connect(LONG).unwrap().write_all(b"1").unwrap();
    let first = listener.accept(LONG).unwrap();
    fs::rename(&path, &away).unwrap();
    drop(first);
    assert!(listener.accept(LONG).is_err(), "there is no pipe");
    fs::rename(&away, &path).unwrap();
    assert!(listener.try_accept().unwrap().is_none(), "nobody has written yet");
    connector.connect(LONG).unwrap().write_all(b"2").unwrap();
    let mut came = [0];
    listener.accept(LONG).unwrap().read_exact(&mut came).unwrap();
    assert_eq!(came, *b"2");
}

#[test]
fn beyond_loopback_nobody_listens_unless_insecure_is_spelled_out() {
    for text in ["tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://0.0.0.0:0?insecure=false"] {
        let error = listen(&parsed(text)).err().unwrap();
        assert_eq!(error.kind(), Kind::Denied, "{text}");
        assert!(error.to_string().contains("?insecure"), "{error}");
    }
    // Whatever opens it.
    let at = parsed("tcp://0.0.0.0:0");
    let refused = [
        listen_for_frames(&at).err(),
        Faults::seeded(1).short(0.1).listen(&at).err(),
        SocketListener::bind(at.target()).err(),
        receive_datagrams(&parsed("udp://0.0.0.0:0")).err(),
        Faults::seeded(1).drop(0.1).receive_datagrams(&parsed("udp://0.0.0.0:0")).err(),
    ];
    for error in refused {
        assert_eq!(error.expect("it is refused").kind(), Kind::Denied);
    }
    // The control.
    SocketListener::bind_and_ask(at.target()).unwrap();
    listen(&parsed("tcp://0.0.0.0:0?insecure")).unwrap();
    listen(&parsed("tcp://127.0.0.1:0")).unwrap();
}

/// The file of a stream socket that nobody listens on. It never listened: a listener that is dropped may live on for a moment in a child that another
/// test forks.
fn stale(path: &Path) {
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
}

#[test]
fn the_socket_of_a_dead_listener_is_replaced_and_that_of_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let at = parsed(&format!("unix:{}", path.display()));
    // Left behind by a process that was killed: the file without the listener.
    stale(&path);
    assert!(path.exists());
    drop(listen(&at).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "socket and lock are gone with the listener");
    // Somebody who knows nothing of our lock.
    let foreign = UnixListener::bind(&path).unwrap();
    assert_eq!(listen(&at).err().unwrap().kind(), Kind::Io);
    UnixStream::connect(&path).unwrap().write_all(b"x").unwrap();
    foreign.accept().unwrap();
    drop(foreign);
    // No socket at all is not removed either.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    assert_eq!(listen(&at).err().unwrap().kind(), Kind::Io);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_listener_does_not_remove_the_socket_of_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let at = parsed(&format!("unix:{}", path.display()));
    let first = listen(&at).unwrap();
    // Somebody takes the path away and listens there, past the lock.
    fs::remove_file(&path).unwrap();
    let successor = UnixListener::bind(&path).unwrap();
    drop(first);
    UnixStream::connect(&path).unwrap();
    successor.accept().unwrap();
}

/// Of many who begin at once at a stale path one gets it, and it stays there.
#[test]
fn of_many_who_begin_at_once_one_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let at = parsed(&format!("unix:{}", path.display()));
    for _ in 0..50 {
        stale(&path);
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| listen(&at))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let listening: Vec<_> = all.into_iter().flatten().collect();
        // One at a time; another only after it has ended.
        assert_eq!(listening.len(), 1);
        UnixStream::connect(&path).unwrap();
    }
}

#[test]
fn the_deadline_of_an_endpoint_holds_for_both_ends() {
    let at = parsed("mem:deadline-of-both?deadline=20ms");
    let listener = listen(&at).unwrap();
    for connector in [connector(&at).unwrap(), listener.connector().unwrap()] {
        let mut ends = [connector.connect(LONG).unwrap(), listener.accept(LONG).unwrap()];
        for end in &mut ends {
            assert_eq!(end.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        }
    }
}

#[test]
fn an_endpoint_says_how_often_it_is_tried_again() {
    let at = parsed("mem:tried-again?retry=2");
    let began = std::time::Instant::now();
    assert_eq!(connector(&at).unwrap().connect(LONG).err().unwrap().kind(), Kind::NoResponders);
    // Two pauses, of at least half of 20 and 40 ms.
    assert!(began.elapsed() >= Duration::from_millis(30));
    // The control: whoever does not say so is told at once, and whoever has time finds the listener that comes.
    assert_eq!(connector(&parsed("mem:tried-again")).unwrap().connect(LONG).err().unwrap().kind(), Kind::NoResponders);
    let patient = connector(&parsed("mem:tried-again?retry=1000")).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| patient.connect(LONG));
        let listener = listen(&parsed("mem:tried-again")).unwrap();
        listener.accept(LONG).unwrap();
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn what_carries_no_streams_says_so() {
    for text in ["udp://127.0.0.1:1", "nats://h", "local:x"] {
        assert_eq!(connector(&parsed(text)).err().unwrap().kind(), Kind::Unsupported, "{text}");
        assert_eq!(listen(&parsed(text)).err().unwrap().kind(), Kind::Unsupported, "{text}");
    }
    let pipe = Endpoint::new(Target::Pipe);
    assert_eq!(connector(&pipe).err().unwrap().kind(), Kind::Unsupported);
    let exec = parsed("exec:cat").trusted();
    assert_eq!(listen(&exec).err().unwrap().kind(), Kind::Unsupported);
}

#[test]
fn nobody_receives_datagrams_beyond_loopback_unless_insecure_is_spelled_out() {
    for text in ["udp://0.0.0.0:0", "udp://239.255.77.1:0?iface=lo"] {
        let error = receive_datagrams(&parsed(text)).err().unwrap();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
    }
    receive_datagrams(&parsed("udp://0.0.0.0:0?insecure")).unwrap();
    for text in ["tcp://127.0.0.1:1", "pipe:"] {
        assert_eq!(receive_datagrams(&parsed(text)).err().unwrap().kind(), Kind::Unsupported);
    }
}
