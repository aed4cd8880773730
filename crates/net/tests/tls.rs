//! Who is let in over TLS and who is not, and that nobody in between can change or shorten what is said.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Error, Kind, Target};
use crosstie_net::{AsyncListener, Connection, Listener, connector, listen, wait_for_any};
use crosstie_testkit::certificates::{HERE, Issued, Place, Validity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LONG: Duration = Duration::from_secs(60);

/// A listener that shows this, and asks for nothing.
fn showing(shown: &Issued) -> Box<dyn Listener> {
    listen(&vouched(&format!("tls://127.0.0.1:0?{}", shown.shown()))).unwrap()
}

/// A listener that lets in nobody without a certificate of ours.
fn mutual(place: &Place) -> Box<dyn Listener> {
    listen(&vouched(&format!("tls://127.0.0.1:0?{}", place.mutual()))).unwrap()
}

fn vouched(url: &str) -> Endpoint {
    url.trim_end_matches('?').parse::<Endpoint>().unwrap().trusted()
}

fn port(listener: &dyn Listener) -> u16 {
    let Target::Tls { servers, .. } = listener.endpoint().target() else { panic!("it listens by TLS") };
    servers[0].port
}

/// Who connects, and who is accepted, if somebody is within the time. A refusal takes as long.
fn meet(
    listener: &dyn Listener,
    to: &Endpoint,
    time: Duration,
) -> (Result<Connection, Error>, Result<Connection, Error>) {
    thread::scope(|scope| {
        let connecting = scope.spawn(|| connector(to).unwrap().connect(LONG));
        let accepted = listener.accept(time);
        (connecting.join().unwrap(), accepted)
    })
}

/// The error of a client that is not served.
fn refused(listener: &dyn Listener, host: &str, options: &str) -> Error {
    let to = vouched(&format!("tls://{host}:{}?{options}", port(listener)));
    let (near, far) = meet(listener, &to, Duration::from_millis(300));
    assert!(far.is_err(), "nobody is let in");
    near.err().expect("it is refused")
}

fn served(listener: &dyn Listener, host: &str, options: &str) -> (Connection, Connection) {
    let (near, far) = meet(listener, &vouched(&format!("tls://{host}:{}?{options}", port(listener))), LONG);
    let (near, far) = (near.unwrap(), far.unwrap());
    (&near).write_all(b"hello").unwrap();
    let mut came = [0; 5];
    (&far).read_exact(&mut came).unwrap();
    assert_eq!(&came, b"hello");
    (near, far)
}

fn ca(path: &Path) -> String {
    format!("ca={}", path.display())
}

#[test]
fn a_server_is_believed_for_its_authority_its_name_and_its_time_alone() {
    let place = Place::new();
    let (ours, theirs) = (place.trusting(), ca(&place.stranger().ca()));
    let listener = showing(&place.server);
    let error = refused(&*listener, "127.0.0.1", &theirs);
    assert!(error.kind() == Kind::Denied && error.to_string().contains("nobody who is trusted here"), "{error}");
    let error = refused(&*listener, "127.0.0.1", &format!("{ours}&name=bank.example"));
    assert!(error.kind() == Kind::Denied && error.to_string().contains("for another name"), "{error}");
    // Whom the system trusts has not signed it either.
    assert_eq!(refused(&*listener, "127.0.0.1", "").kind(), Kind::Denied);
    for (validity, expected) in [(Validity::Over, "has expired"), (Validity::Later, "not in force yet")] {
        let listener = showing(&place.authority.issue("other-time", HERE, validity));
        let error = refused(&*listener, "127.0.0.1", &ours);
        assert!(error.kind() == Kind::Denied && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn control_the_right_ones_are_let_in() {
    let place = Place::new();
    let ours = place.trusting();
    let listener = showing(&place.server);
    let (near, far) = served(&*listener, "127.0.0.1", &ours);
    assert_eq!(near.certificate().unwrap().common_name(), Some("server"));
    assert_eq!(near.certificate().unwrap().dns_names(), ["localhost"]);
    assert!(far.certificate().is_none(), "nobody has asked the client");
    served(&*listener, "localhost", &ours);
    served(&*listener, "127.0.0.1", &format!("{ours}&name=localhost"));
    let mutual = mutual(&place);
    let (_near, far) = served(&*mutual, "127.0.0.1", &place.client.options(&place.authority.ca()));
    assert_eq!(far.certificate().unwrap().common_name(), Some("ann"));
}

#[test]
fn a_listener_with_an_authority_lets_in_nobody_without_its_certificate() {
    let place = Place::new();
    let listener = mutual(&place);
    let ours = place.trusting();
    let foreign = place.stranger().issue("mallory", &[], Validity::Now);
    let late = place.authority.issue("late", &[], Validity::Over);
    for options in [ours.clone(), foreign.options(&place.authority.ca()), late.options(&place.authority.ca())] {
        let to = vouched(&format!("tls://127.0.0.1:{}?{options}", port(&*listener)));
        let (near, far) = meet(&*listener, &to, Duration::from_millis(300));
        assert!(far.is_err(), "nobody is let in with {options}");
        // The client is done first and hears of it with the first read.
        let told = match near {
            Ok(near) => near.explain((&near).read(&mut [0]).unwrap_err()),
            Err(error) => error,
        };
        assert_eq!(told.kind(), Kind::Denied, "{told}");
    }
}

#[test]
fn beyond_loopback_clients_prove_who_they_are_or_insecure_is_spelled_out() {
    let place = Place::new();
    let shown = place.shown();
    let error = listen(&vouched(&format!("tls://0.0.0.0:0?{shown}"))).err().unwrap();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().contains("?ca=") && error.to_string().contains("?insecure"), "{error}");
}

#[test]
fn control_insecure_or_an_authority_open_a_listener_to_others() {
    let place = Place::new();
    let shown = place.shown();
    listen(&vouched(&format!("tls://0.0.0.0:0?{shown}&insecure"))).unwrap();
    listen(&vouched(&format!("tls://0.0.0.0:0?{shown}&{}", place.trusting()))).unwrap();
}

#[test]
fn files_that_are_missing_or_wrong_are_named() {
    let place = Place::new();
    let Issued { cert, key } = &place.server;
    let (cert, key) = (cert.display(), key.display());
    let folder = place.folder().display();
    let pem = fs::read_to_string(&place.server.cert).unwrap();
    fs::write(place.folder().join("cut"), &pem[..pem.len() / 2]).unwrap();
    let fifo = place.folder().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    for (options, expected) in [
        (String::new(), "'cert='"),
        (format!("cert={cert}"), "'key='"),
        (format!("cert={cert}&key={folder}/nothing"), "nothing"),
        (format!("cert={cert}&key={folder}"), "expected a file"),
        (format!("cert={cert}&key={}", fifo.display()), "expected a file"),
        (format!("cert={folder}/cut&key={key}"), "'-----END CERTIFICATE-----'"),
        (format!("cert={key}&key={key}"), "BEGIN CERTIFICATE"),
        (format!("cert={cert}&key={cert}"), "private key"),
        (format!("cert={cert}&key={}", place.client.key.display()), "do not go together"),
        (format!("cert={cert}&key={key}&ca={key}"), "BEGIN CERTIFICATE"),
    ] {
        let error = listen(&vouched(&format!("tls://127.0.0.1:0?{options}"))).err().unwrap();
        assert!(error.kind() == Kind::InvalidInput && error.to_string().contains(expected), "{options}: {error}");
    }
    for text in ["tls://a:1,b:2", "tls://user:word@127.0.0.1:0"] {
        assert_eq!(listen(&vouched(text)).err().unwrap().kind(), Kind::InvalidInput, "{text}");
    }
}

#[test]
fn one_who_speaks_no_tls_is_told_the_end_and_hurts_nobody() {
    let place = Place::new();
    let listener = showing(&place.server);
    // Announces a first message of sixteen million bytes.
    let endless = [&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 0x3ffc]].concat();
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"CONNECT {}\r\nPING\r\n", &endless] {
        let mut plain = TcpStream::connect(("127.0.0.1", port(&*listener))).unwrap();
        plain.set_read_timeout(Some(LONG)).unwrap();
        plain.write_all(said).unwrap();
        assert!(listener.accept(Duration::from_millis(100)).is_err());
        let mut came = Vec::new();
        // An alert, and then an end, orderly or not, but no waiting.
        let end = plain.read_to_end(&mut came);
        assert!(end.is_ok() || end.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset));
        assert!(came.is_empty() || came[0] == 21, "an alert, not {came:?}");
        served(&*listener, "127.0.0.1", &place.trusting());
    }
    // The other way round: a client of TLS at a port that speaks none.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = vouched(&format!("tls://{}?{}", plain.local_addr().unwrap(), place.trusting()));
    let error = thread::scope(|scope| {
        let connecting = scope.spawn(|| connector(&to).unwrap().connect(LONG).err().unwrap());
        plain.accept().unwrap().0.write_all(b"INFO {}\r\n").unwrap();
        connecting.join().unwrap()
    });
    assert!(matches!(error.kind(), Kind::Protocol | Kind::Disconnected), "{error}");
}

#[test]
fn whoever_says_nothing_is_dismissed_and_many_of_them_keep_nobody_out() {
    let place = Place::new();
    let Issued { cert, key } = &place.server;
    let url = format!("tls://127.0.0.1:0?cert={}&key={}&deadline=200ms", cert.display(), key.display());
    let listener = listen(&vouched(&url)).unwrap();
    let began = Instant::now();
    let mut silent = TcpStream::connect(("127.0.0.1", port(&*listener))).unwrap();
    silent.set_read_timeout(Some(LONG)).unwrap();
    thread::scope(|scope| {
        // Nobody else comes: the end of its time wakes the listener.
        let accepting = scope.spawn(|| listener.accept(Duration::from_secs(1)));
        assert_eq!(silent.read(&mut [0]).unwrap(), 0, "it is ended");
        assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < LONG);
        assert_eq!(accepting.join().unwrap().err().unwrap().kind(), Kind::Timeout);
    });
    let patient = showing(&place.server);
    let crowd: Vec<_> = (0..400).map(|_| TcpStream::connect(("127.0.0.1", port(&*patient))).unwrap()).collect();
    served(&*patient, "127.0.0.1", &place.trusting());
    drop(crowd);
}

#[test]
fn control_a_slow_but_honest_newcomer_is_let_in() {
    let place = Place::new();
    let listener = showing(&place.server);
    // What comes first waits until others have come and gone.
    let at = slowly(port(&*listener), 8);
    let to = vouched(&format!("tls://127.0.0.1:{at}?{}", place.trusting()));
    let (near, far) = meet(&*listener, &to, LONG);
    (&near.unwrap()).write_all(b"x").unwrap();
    (&far.unwrap()).read_exact(&mut [0]).unwrap();
}

/// Somebody in between who hands on what clients say in pieces.
fn slowly(to: u16, piece: usize) -> u16 {
    let middle = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = middle.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut client, _) = middle.accept().unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
        server.set_nodelay(true).unwrap();
        let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut from_server, &mut to_client));
        let mut buf = vec![0; piece];
        while let Ok(count @ 1..) = client.read(&mut buf) {
            server.write_all(&buf[..count]).unwrap();
        }
        let _ = server.shutdown(Shutdown::Write);
    });
    at
}

/// Between a client and a listener: changes what the server sends after `limit` bytes.
fn between(listener: &dyn Listener, act: impl Fn(&mut Vec<u8>) -> bool + Send + 'static) -> u16 {
    let (middle, to) = (TcpListener::bind("127.0.0.1:0").unwrap(), port(listener));
    let at = middle.local_addr().unwrap().port();
    thread::spawn(move || {
        let (client, _) = middle.accept().unwrap();
        let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut from_client, &mut to_server));
        let (mut server, mut client) = (server, client);
        let mut buf = vec![0; 65_536];
        while let Ok(count @ 1..) = server.read(&mut buf) {
            let mut bytes = buf[..count].to_vec();
            let goes_on = act(&mut bytes);
            if client.write_all(&bytes).is_err() || !goes_on {
                break;
            }
        }
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    });
    at
}

/// What the client reads through somebody in between, and how it ends. The server says `MARKED` in a record of its own, then goes.
fn overheard(act: impl Fn(&mut Vec<u8>) -> bool + Send + 'static) -> (Vec<u8>, io::Result<()>, Option<Kind>) {
    let place = Place::new();
    let listener = showing(&place.server);
    let at = between(&*listener, act);
    let to = vouched(&format!("tls://127.0.0.1:{at}?{}", place.trusting()));
    let (near, far) = meet(&*listener, &to, LONG);
    let (near, mut far) = (near.unwrap(), far.unwrap());
    far.write_all(&[7; 10_000]).unwrap();
    drop(far);
    let mut came = Vec::new();
    let end = (&near).read_to_end(&mut came).map(drop);
    let told = end.as_ref().err().map(|error| near.explain(io::Error::from(error.kind())).kind());
    (came, end, told)
}

/// The record with the ten thousand bytes and all that follows it.
fn is_last(bytes: &[u8]) -> bool {
    bytes.len() > 9000
}

#[test]
fn a_stream_that_is_cut_short_is_never_an_ordinary_end() {
    // Everything but the announcement of the end, which is 24 bytes.
    let (came, end, told) = overheard(|bytes| {
        let is_last = is_last(bytes);
        if is_last {
            bytes.truncate(10_000 + 22);
        }
        !is_last
    });
    assert_eq!((came.len(), end.unwrap_err().kind()), (10_000, io::ErrorKind::UnexpectedEof));
    assert_eq!(told, Some(Kind::Disconnected));
    // In the middle of a record: none of it counts.
    let (came, end, _) = overheard(|bytes| {
        let is_last = is_last(bytes);
        if is_last {
            bytes.truncate(5000);
        }
        !is_last
    });
    assert_eq!((came.len(), end.unwrap_err().kind()), (0, io::ErrorKind::UnexpectedEof));
}

#[test]
fn control_a_stream_left_alone_ends_in_order() {
    let (came, end, _) = overheard(|_| true);
    assert!(end.is_ok() && came == [7; 10_000]);
}

/// Whoever has ended its own direction has sent bytes that the other need never read.
#[test]
fn what_was_written_arrives_although_the_other_sides_end_was_not_read() {
    let place = Place::new();
    let listener = showing(&place.server);
    let (near, mut far) = served(&*listener, "127.0.0.1", &place.trusting());
    far.end_writing().unwrap();
    (&near).write_all(&[7; 500_000]).unwrap();
    near.end_writing().unwrap();
    drop(near);
    let mut came = Vec::new();
    far.read_to_end(&mut came).unwrap();
    assert_eq!(came.len(), 500_000);
}

/// Somebody writes as much as is taken and goes, and then the other side says something, before it reads: how much was taken, how much has come, and how
/// that has ended.
fn gone_with_bytes_on_the_way(mut near: Connection, mut far: Connection) -> (usize, usize, io::Result<()>) {
    near.set_timeout(Some(Duration::from_millis(50)));
    let mut taken = 0;
    while let Ok(count) = near.write(&[7; 100_000]) {
        taken += count;
    }
    drop(near);
    let (came, end) = answered(&mut far);
    (taken, came, end)
}

fn answered(far: &mut Connection) -> (usize, io::Result<()>) {
    far.set_timeout(Some(LONG));
    far.write_all(b"thanks").unwrap();
    let mut came = Vec::new();
    let end = far.read_to_end(&mut came).map(drop);
    (came.len(), end)
}

#[test]
fn what_was_taken_arrives_whatever_the_other_side_says_after_the_drop() {
    let place = Place::new();
    let listener = showing(&place.server);
    let (near, far) = served(&*listener, "127.0.0.1", &place.trusting());
    let (taken, came, end) = gone_with_bytes_on_the_way(near, far);
    assert!(end.is_ok() && taken == came && taken > 100_000, "{came} of {taken}, then {end:?}");
    // The same with a drop in a task, which must not wait.
    let (near, mut far) = served(&*listener, "127.0.0.1", &place.trusting());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let taken = runtime.block_on(async {
        let mut near = near.into_async().unwrap();
        let mut taken = 0;
        while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_millis(50), near.write(&[7; 100_000])).await {
            taken += count;
        }
        taken
    });
    let (came, end) = answered(&mut far);
    assert!(end.is_ok() && taken == came && taken > 100_000, "{came} of {taken}, then {end:?}");
}

#[test]
fn control_a_socket_that_does_not_linger_loses_what_is_on_the_way() {
    let listener = listen(&"tcp://127.0.0.1:0".parse().unwrap()).unwrap();
    let near = listener.connector().unwrap().connect(LONG).unwrap();
    let (taken, came, end) = gone_with_bytes_on_the_way(near, listener.accept(LONG).unwrap());
    assert!(came < taken && end.is_err(), "{came} of {taken}, then {end:?}");
}

/// Before a process ends there is nobody to linger for it.
#[test]
fn closing_waits_until_the_other_side_has_all_and_has_ended() {
    let place = Place::new();
    let listener = showing(&place.server);
    for in_a_task in [false, true] {
        let (near, mut far) = served(&*listener, "127.0.0.1", &place.trusting());
        let has_all = AtomicBool::new(false);
        thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut came = Vec::new();
                far.read_to_end(&mut came).unwrap();
                has_all.store(came.len() == 5_000_000, Ordering::SeqCst);
                drop(far);
            });
            (&near).write_all(&[7; 5_000_000]).unwrap();
            if in_a_task {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async { near.into_async().unwrap().close().await }).unwrap();
            } else {
                near.close().unwrap();
            }
            assert!(has_all.load(Ordering::SeqCst), "it has waited");
            reading.join().unwrap();
        });
    }
}

/// What TLS has taken from the socket already shows in no descriptor.
#[test]
fn whoever_waits_for_several_sees_what_came_already() {
    const WAIT: Duration = Duration::from_millis(200);
    let place = Place::new();
    let listener = showing(&place.server);
    let (near, far) = served(&*listener, "127.0.0.1", &place.trusting());
    let (quiet, other) = served(&*listener, "127.0.0.1", &place.trusting());
    let wait = |timeout| {
        let began = Instant::now();
        wait_for_any([quiet.arm_reading(), near.arm_reading()], Some(timeout)).unwrap();
        began.elapsed()
    };
    let nothing = |result: io::Result<usize>| assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
    // More than a record, and an end, which come together.
    (&far).write_all(&[7; 40_000]).unwrap();
    far.end_writing().unwrap();
    let mut left = 40_000;
    while left > 0 {
        assert!(wait(LONG) < LONG);
        left -= near.read_within(&mut [0; 10_001][..left.min(10_001)], Some(WAIT)).unwrap();
    }
    assert!(wait(LONG) < LONG, "the end is something, too");
    assert_eq!(near.read_within(&mut [0], Some(WAIT)).unwrap(), 0);
    // The control: nothing wakes who waits for those of whom nothing has come, and something does when it comes.
    nothing(quiet.read_within(&mut [0], Some(Duration::ZERO)));
    let began = Instant::now();
    wait_for_any([quiet.arm_reading()], Some(WAIT)).unwrap();
    assert!(began.elapsed() >= WAIT);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| wait_for_any([quiet.arm_reading()], Some(LONG)).unwrap());
        (&other).write_all(b"x").unwrap();
        waiting.join().unwrap();
    });
    assert_eq!(quiet.read_within(&mut [0], Some(Duration::ZERO)).unwrap(), 1);
}

#[test]
fn not_a_byte_is_believed_that_was_changed_on_the_way() {
    let (came, end, _) = overheard(|bytes| {
        if is_last(bytes) {
            bytes[9000] ^= 1;
        }
        true
    });
    assert!(came.is_empty());
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_reload_is_for_those_who_come_later() {
    let place = Place::new();
    let stranger = place.stranger();
    let (ours, theirs) = (place.trusting(), ca(&stranger.ca()));
    let listener = showing(&place.server);
    let (mut near, mut far) = served(&*listener, "127.0.0.1", &ours);
    let before = near.certificate().unwrap().fingerprint();

    // Files that do not hold what they should change nothing.
    let Issued { cert, key } = &place.server;
    let kept = fs::read(cert).unwrap();
    fs::write(cert, "nothing").unwrap();
    assert_eq!(listener.reload().unwrap_err().kind(), Kind::InvalidInput);
    served(&*listener, "127.0.0.1", &ours);

    let new = stranger.issue("server", HERE, Validity::Now);
    fs::copy(&new.cert, cert).unwrap();
    fs::copy(&new.key, key).unwrap();
    listener.reload().unwrap();
    assert_eq!(refused(&*listener, "127.0.0.1", &ours).kind(), Kind::Denied);
    let (again, _far) = served(&*listener, "127.0.0.1", &theirs);
    assert_ne!(again.certificate().unwrap().fingerprint(), before);
    assert_ne!(kept, fs::read(cert).unwrap());

    // Whoever was there goes on.
    far.write_all(b"still").unwrap();
    let mut came = [0; 5];
    near.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"still");
}

#[test]
fn control_without_a_reload_the_old_certificate_is_shown() {
    let place = Place::new();
    let listener = showing(&place.server);
    let new = place.stranger().issue("server", HERE, Validity::Now);
    fs::copy(&new.cert, &place.server.cert).unwrap();
    fs::copy(&new.key, &place.server.key).unwrap();
    served(&*listener, "127.0.0.1", &place.trusting());
}

#[test]
fn a_connector_shows_its_new_certificate_the_next_time() {
    let place = Place::new();
    let listener = mutual(&place);
    let to = vouched(&format!("tls://127.0.0.1:{}?{}", port(&*listener), place.client.options(&place.authority.ca())));
    let connector = connector(&to).unwrap();
    let name = || {
        thread::scope(|scope| {
            let near = scope.spawn(|| connector.connect(LONG).unwrap());
            let far = listener.accept(LONG).unwrap();
            drop(near.join().unwrap());
            far.certificate().unwrap().name()
        })
    };
    assert_eq!(name(), "ann");
    let bob = place.authority.issue("bob-the-new", &[], Validity::Now);
    fs::copy(&bob.key, &place.client.key).unwrap();
    fs::copy(&bob.cert, &place.client.cert).unwrap();
    assert_eq!(name(), "bob-the-new");
    // A half-written file is not shown: it is as it was.
    fs::write(&place.client.cert, "-----BEGIN").unwrap();
    assert_eq!(name(), "bob-the-new");
}

#[tokio::test]
async fn two_tasks_share_a_connection_and_what_was_written_leaves() {
    let place = Place::new();
    let listener = AsyncListener::new(mutual(&place)).unwrap();
    let connector = listener.get_ref().connector().err();
    // Its own certificate is one for clients, too.
    assert!(connector.is_none());
    let connector = listener.get_ref().connector().unwrap();
    let (near, far) = tokio::join!(connector.connect_async(LONG), listener.accept());
    let (mut reader, mut writer) = near.unwrap().into_async().unwrap().into_split();
    let far = far.unwrap().into_async().unwrap();
    assert_eq!(far.certificate().unwrap().name(), "server");
    let (mut far_reader, mut far_writer) = far.into_split();
    const TOTAL: usize = 8 << 20;
    let near = async {
        let sent = tokio::spawn(async move {
            for _ in 0..TOTAL / 100_000 {
                writer.write_all(&[1; 100_000]).await.unwrap();
            }
            writer.flush().await.unwrap();
            writer
        });
        let mut back = vec![0; TOTAL / 100_000 * 100_000];
        reader.read_exact(&mut back).await.unwrap();
        let mut writer = sent.await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        assert!(back.iter().all(|byte| *byte == 1));
    };
    let far = tokio::spawn(async move {
        tokio::io::copy(&mut far_reader, &mut far_writer).await.unwrap();
        far_writer.shutdown().await.unwrap();
    });
    tokio::time::timeout(LONG, near).await.expect("nothing is kept back");
    far.await.unwrap();
}
