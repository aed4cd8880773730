//! The broker behind TLS: who gets in, who does not, and that nobody waits for those who do not.

mod served;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crosstie_broker::{Auth, Broker, HandshakeFirst, Options, Permissions, Secret, Tls, User};
use crosstie_core::{Endpoint, Error, Kind, Target};
use crosstie_net::{Connection, SocketListener, TlsClient, TlsFiles};
use crosstie_testkit::certificates::{Place, Validity};

use self::served::serve;

const LONG: Duration = Duration::from_secs(30);
const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

/// The server's files; with the authority if it asks for certificates.
fn files(place: &Place, asks: bool) -> TlsFiles {
    let mut files = TlsFiles::default();
    (files.cert, files.key) = (Some(place.server.cert.clone()), Some(place.server.key.clone()));
    files.ca = asks.then(|| place.authority.ca());
    files
}

fn options(place: &Place, asks: bool, change: impl FnOnce(&mut Tls)) -> Options {
    let mut options = Options::default();
    let mut tls = Tls::new(files(place, asks));
    change(&mut tls);
    options.tls = Some(tls);
    options
}

/// A client, which shows its certificate or not.
fn believing(place: &Place, shows: bool) -> TlsClient {
    let mut files = TlsFiles::default();
    files.ca = Some(place.authority.ca());
    if shows {
        (files.cert, files.key) = (Some(place.client.cert.clone()), Some(place.client.key.clone()));
    }
    TlsClient::new(files, None).unwrap()
}

/// A line of the server's, in the clear, byte by byte so that none of what follows is taken.
fn line(mut stream: &TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n") && stream.read(&mut byte).unwrap() > 0 {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn plain(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// A client of TLS after `INFO`, with what it said.
fn upgraded(port: u16, tls: &TlsClient) -> Result<(Client, String), Error> {
    let stream = plain(port);
    let info = line(&stream);
    let mut connection = tls.secure_blocking(stream, "127.0.0.1", LONG)?;
    connection.set_timeout(Some(LONG));
    Ok((Client { connection, seen: String::new() }, info))
}

struct Client {
    connection: Connection,
    seen: String,
}

impl Client {
    fn say(&mut self, text: &str) {
        self.connection.write_all(text.as_bytes()).unwrap();
    }

    fn until(&mut self, end: &str) -> String {
        let mut buffer = [0; 65536];
        loop {
            if let Some(at) = self.seen.find(end) {
                return self.seen.drain(..at + end.len()).collect();
            }
            let count = self.connection.read(&mut buffer).unwrap_or_else(|e| panic!("{e}; seen {:?}", self.seen));
            assert!(count > 0, "closed while waiting for {end:?}; seen {:?}", self.seen);
            self.seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }

    fn works(mut self) -> Self {
        self.say(CONNECT);
        self.say("SUB a 1\r\nPUB a 5\r\nhello\r\nPING\r\n");
        assert_eq!(self.until("PONG\r\n"), "MSG a 1 5\r\nhello\r\nPONG\r\n");
        self
    }
}

/// Reads in the clear to the end, orderly or not.
fn to_the_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut came = Vec::new();
    let _ = stream.read_to_end(&mut came);
    came
}

#[test]
fn a_client_begins_tls_after_the_greeting_and_is_served_like_any_other() {
    let place = Place::new();
    let (broker, port) = serve(options(&place, false, |_| ()));
    let mut writer = upgraded(port, &believing(&place, false)).unwrap().0.works();
    let (client, info) = upgraded(port, &believing(&place, false)).unwrap();
    assert!(info.contains("\"tls_required\":true") && !info.contains("tls_available") && !info.contains("tls_verify"));
    let mut client = client.works();
    // Much at once, both ways: more than a record, a read, and what a socket has room for.
    client.say("SUB big 2\r\nPING\r\n");
    client.until("PONG\r\n");
    let payload = "x".repeat(1_000_000);
    let reader = client;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                writer.say(&format!("PUB big {}\r\n{payload}\r\n", payload.len()));
            }
        });
        let mut expected = 20 * ("MSG big 2 1000000\r\n".len() + payload.len() + 2);
        let mut buffer = vec![0; 1 << 20];
        while expected > 0 {
            let count = (&reader.connection).read(&mut buffer).unwrap();
            assert!(count > 0 && count <= expected);
            expected -= count;
        }
    });
    let all = broker.connections(false);
    assert!(all.iter().all(|one| one.tls.as_ref().is_some_and(|tls| tls.cipher_suite.starts_with("TLS_AES"))));
    broker.shutdown();
}

#[test]
fn whoever_speaks_in_the_clear_where_tls_is_wanted_is_ended_and_nothing_of_it_is_done() {
    let place = Place::new();
    let (broker, port) = serve(options(&place, false, |_| ()));
    let mut client = upgraded(port, &believing(&place, false)).unwrap().0.works();
    client.say("SUB > 9\r\nPING\r\n");
    client.until("PONG\r\n");
    let mut stream = plain(port);
    line(&stream);
    stream.write_all(format!("{CONNECT}PUB secret 4\r\ntold\r\nPING\r\n").as_bytes()).unwrap();
    let came = to_the_end(&stream);
    assert!(!String::from_utf8_lossy(&came).contains("PONG"));
    client.say("PING\r\n");
    assert_eq!(client.until("PONG\r\n"), "PONG\r\n", "nothing was published");
    broker.shutdown();
}

/// What stands before the first byte of TLS counts for nothing, even if a handshake follows.
#[test]
fn what_is_put_before_a_handshake_is_not_taken_for_the_clients() {
    let place = Place::new();
    let (broker, port) = serve(options(&place, false, |_| ()));
    let mut listener = upgraded(port, &believing(&place, false)).unwrap().0.works();
    listener.say("SUB > 9\r\nPING\r\n");
    listener.until("PONG\r\n");
    let mut stream = plain(port);
    line(&stream);
    stream.write_all(b"PUB injected 0\r\n\r\n").unwrap();
    assert!(believing(&place, false).secure_blocking(stream, "127.0.0.1", LONG).is_err());
    listener.say("PING\r\n");
    assert_eq!(listener.until("PONG\r\n"), "PONG\r\n");
    broker.shutdown();
}

#[test]
fn control_where_both_are_offered_a_client_may_speak_in_the_clear() {
    let place = Place::new();
    let (broker, port) = serve(options(&place, false, |tls| tls.allow_plain = true));
    let mut stream = plain(port);
    let info = line(&stream);
    assert!(info.contains("\"tls_available\":true") && !info.contains("tls_required"), "{info}");
    stream.write_all(format!("{CONNECT}SUB a 1\r\nPUB a 2\r\nhi\r\nPING\r\n").as_bytes()).unwrap();
    assert_eq!([line(&stream), line(&stream), line(&stream)], ["MSG a 1 2\r\n", "hi\r\n", "PONG\r\n"]);
    upgraded(port, &believing(&place, false)).unwrap().0.works();
    broker.shutdown();
}

#[test]
fn with_the_handshake_first_nothing_is_said_in_the_clear() {
    let place = Place::new();
    let (broker, port) = serve(options(&place, false, |tls| tls.handshake_first = HandshakeFirst::Always));
    let mut connection = believing(&place, false).secure_blocking(plain(port), "127.0.0.1", LONG).unwrap();
    connection.set_timeout(Some(LONG));
    let mut client = Client { connection, seen: String::new() };
    assert!(client.until("\r\n").starts_with("INFO {"));
    client.works();
    assert!(broker.connections(false).iter().all(|one| one.tls.as_ref().is_none_or(|tls| tls.handshake_first)));
    // One who waits for the greeting in the clear waits in vain, and one who speaks is ended.
    let mut silent = plain(port);
    silent.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(silent.read(&mut [0]).is_err(), "nothing came");
    let mut loud = plain(port);
    loud.write_all(CONNECT.as_bytes()).unwrap();
    assert!(!String::from_utf8_lossy(&to_the_end(&loud)).contains("INFO"));
    broker.shutdown();
}

#[test]
fn whoever_does_not_begin_in_time_is_greeted_in_the_clear() {
    let place = Place::new();
    let patience = Duration::from_millis(100);
    let (broker, port) = serve(options(&place, false, |tls| tls.handshake_first = HandshakeFirst::Within(patience)));
    let began = Instant::now();
    let (client, info) = upgraded(port, &believing(&place, false)).unwrap();
    assert!(began.elapsed() >= patience && info.contains("tls_required"));
    client.works();
    let connection = believing(&place, false).secure_blocking(plain(port), "127.0.0.1", LONG).unwrap();
    let mut client = Client { connection, seen: String::new() };
    assert!(client.until("\r\n").starts_with("INFO {"));
    client.works();
    broker.shutdown();
}

#[test]
fn with_an_authority_nobody_gets_in_without_its_certificate() {
    let place = Place::new();
    let (broker, port) = serve(options(&place, true, |_| ()));
    let (client, info) = upgraded(port, &believing(&place, true)).unwrap();
    assert!(info.contains("\"tls_verify\":true"));
    let client = client.works();
    let tls = broker.connections(false)[0].tls.clone().unwrap();
    assert_eq!(tls.certificate.unwrap().common_name(), Some("ann"));
    // The control is the one above; this one has none.
    let refused = upgraded(port, &believing(&place, false)).and_then(|(mut client, _)| {
        let error = client.connection.read(&mut [0]).unwrap_err();
        Err::<(), _>(client.connection.explain(error))
    });
    assert_eq!(refused.unwrap_err().kind(), Kind::Denied);
    drop(client);
    broker.shutdown();
}

#[test]
fn passwords_are_asked_for_over_tls_as_they_are_in_the_clear() {
    let place = Place::new();
    let mut options = options(&place, false, |_| ());
    let user = User { name: "ann".into(), password: Secret::new("pw"), permissions: Permissions::default() };
    options.auth = Auth::default();
    options.auth.users = vec![user];
    let (broker, port) = serve(options);
    let (mut client, info) = upgraded(port, &believing(&place, false)).unwrap();
    assert!(info.contains("auth_required"));
    client.say("CONNECT {\"verbose\":false,\"user\":\"ann\",\"pass\":\"pw\"}\r\nPING\r\n");
    client.until("PONG\r\n");
    let (mut client, _) = upgraded(port, &believing(&place, false)).unwrap();
    client.say("CONNECT {\"verbose\":false,\"user\":\"ann\",\"pass\":\"no\"}\r\nPING\r\n");
    client.until("-ERR 'Authorization Violation'\r\n");
    broker.shutdown();
}

#[test]
fn a_handshake_that_is_not_ended_in_time_is_ended_by_the_broker() {
    let place = Place::new();
    let (broker, port) = serve(options(&place, false, |tls| tls.timeout = Duration::from_millis(200)));
    // Nothing at all, the beginning of a record, a record that is announced and never comes, and most of a long message.
    let most = [&[22, 3, 1, 0x3e, 0x80, 1, 0, 0x70, 0], &[3; 15_996][..]].concat();
    for said in [&b""[..], &[22], &[22, 3, 1, 0x10, 0, 1, 0, 0x0f], &most] {
        let began = Instant::now();
        let mut stream = plain(port);
        line(&stream);
        stream.write_all(said).unwrap();
        assert_eq!(to_the_end(&stream), b"");
        assert!(began.elapsed() >= Duration::from_millis(150), "not before its time");
        assert!(began.elapsed() < LONG);
    }
    let closed = broker.closed_connections();
    assert!(closed.iter().all(|one| one.closed.unwrap().reason == "TLS Handshake Failure"), "{closed:?}");
    assert_eq!(closed.len(), 4);
    upgraded(port, &believing(&place, false)).unwrap().0.works();
    broker.shutdown();
}

/// More of them begin than are kept in the middle of a handshake: they make room, the oldest first, and an honest one gets through.
#[test]
fn many_who_only_begin_keep_nobody_out() {
    let place = Place::new();
    let (broker, port) = serve(options(&place, false, |tls| tls.timeout = LONG));
    let crowd: Vec<_> = (0..600)
        .map(|_| {
            let mut stream = plain(port);
            line(&stream);
            stream.write_all(&[22, 3, 1, 0x10, 0, 1, 0, 0x0f]).unwrap();
            stream
        })
        .collect();
    let client = upgraded(port, &believing(&place, false)).unwrap().0.works();
    // The first of them are gone, long before their time.
    assert_eq!(to_the_end(&crowd[0]), b"");
    drop((crowd, client));
    broker.shutdown();
}

#[test]
fn a_reload_shows_the_new_certificate_to_those_who_come_later() {
    let place = Place::new();
    let (broker, port) = serve(options(&place, false, |_| ()));
    let client = upgraded(port, &believing(&place, false)).unwrap().0.works();
    let stranger = place.stranger();
    let new = stranger.issue("server", &["127.0.0.1"], Validity::Now);
    // Files that do not hold what they should are refused, and nothing changes.
    let kept = fs::read(&place.server.cert).unwrap();
    fs::write(&place.server.cert, "nothing").unwrap();
    let options = broker.options().as_ref().clone();
    assert_eq!(broker.reload(options.clone()).unwrap_err().kind(), Kind::InvalidInput);
    upgraded(port, &believing(&place, false)).unwrap().0.works();
    fs::write(&place.server.cert, kept).unwrap();
    fs::copy(&new.cert, &place.server.cert).unwrap();
    fs::copy(&new.key, &place.server.key).unwrap();
    // The control: not read yet.
    upgraded(port, &believing(&place, false)).unwrap().0.works();
    broker.reload(options).unwrap();
    assert_eq!(upgraded(port, &believing(&place, false)).err().unwrap().kind(), Kind::Denied);
    let mut files = TlsFiles::default();
    files.ca = Some(stranger.ca());
    upgraded(port, &TlsClient::new(files, None).unwrap()).unwrap().0.works();
    // Whoever was there goes on.
    let mut client = client;
    client.say("PING\r\n");
    client.until("PONG\r\n");
    broker.shutdown();
}

#[test]
fn a_unix_socket_needs_no_tls() {
    let place = Place::new();
    let path = place.folder().join("s");
    let endpoint: Endpoint = format!("unix:{}", path.display()).parse().unwrap();
    let listener = SocketListener::bind(endpoint.target()).unwrap();
    let broker = Broker::start(options(&place, true, |_| ()), vec![listener]).unwrap();
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(format!("{CONNECT}PING\r\n").as_bytes()).unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.ends_with("PONG\r\n") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    assert!(!seen.contains("tls_"), "{seen}");
    broker.shutdown();
}

#[test]
fn beyond_loopback_certificates_are_as_good_as_passwords() {
    let place = Place::new();
    let open = |options| {
        let target = "tcp://0.0.0.0:0".parse::<Endpoint>().unwrap();
        let Target::Tcp { .. } = target.target() else { unreachable!("it is one") };
        Broker::start(options, vec![SocketListener::bind_and_ask(target.target()).unwrap()])
    };
    open(options(&place, true, |_| ())).unwrap().shutdown();
    for options in [options(&place, false, |_| ()), options(&place, true, |tls| tls.allow_plain = true)] {
        assert_eq!(open(options).err().unwrap().kind(), Kind::InvalidInput);
    }
}

/// Somebody who takes nothing more is cut off as without TLS, and what TLS keeps is not sent behind the others' backs.
#[test]
fn one_who_takes_nothing_is_cut_off_over_tls_too() {
    let place = Place::new();
    let mut options = options(&place, false, |_| ());
    options.limits.max_pending = 2 << 20;
    options.write_deadline = Duration::from_secs(20);
    let (broker, port) = serve(options);
    let mut stuck = upgraded(port, &believing(&place, false)).unwrap().0;
    stuck.say(&format!("{CONNECT}SUB flood 1\r\nPING\r\n"));
    stuck.until("PONG\r\n");
    let mut loud = upgraded(port, &believing(&place, false)).unwrap().0.works();
    let payload = "x".repeat(100_000);
    let until = Instant::now() + LONG;
    while broker.snapshot().slow_consumers == 0 {
        loud.say(&format!("PUB flood {}\r\n{payload}\r\n", payload.len()));
        assert!(Instant::now() < until, "it was never cut off");
    }
    loud.say("PING\r\n");
    loud.until("PONG\r\n");
    broker.shutdown();
}
