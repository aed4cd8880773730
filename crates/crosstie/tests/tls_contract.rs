//! What a client promises of TLS, tried on both drivers against our own broker or, with `CROSSTIE_NATS_SERVER`, against nats-server.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use crosstie_broker::{Broker, HandshakeFirst, Options, Tls};
use crosstie_client::ConnectOptions;
use crosstie_core::{Endpoint, Error, HostPort, Kind, Target};
use crosstie_net::{SocketListener, TlsFiles};
use crosstie_testkit::certificates::{Issued, Place, Validity};
use tokio::runtime::{Builder, Runtime};

const LONG: Duration = Duration::from_secs(20);

/// What the server is told of TLS.
#[derive(Clone, Copy, Default)]
struct Wanted {
    verify: bool,
    first: bool,
    /// No TLS at all.
    none: bool,
}

enum Server {
    Ours(Broker),
    Theirs(Child),
}

fn start(place: &Place, port: u16, wanted: Wanted, server: &Issued) -> Server {
    let Some(program) = std::env::var_os("CROSSTIE_NATS_SERVER") else {
        let mut files = TlsFiles::default();
        (files.cert, files.key) = (Some(server.cert.clone()), Some(server.key.clone()));
        files.ca = wanted.verify.then(|| place.authority.ca());
        let mut tls = Tls::new(files);
        tls.handshake_first = if wanted.first { HandshakeFirst::Always } else { HandshakeFirst::No };
        let mut options = Options::default();
        options.tls = (!wanted.none).then_some(tls);
        let target = Target::Tcp { host: HostPort { host: "127.0.0.1".into(), port } };
        return Server::Ours(Broker::start(options, vec![SocketListener::bind(&target).unwrap()]).unwrap());
    };
    let config = place.folder().join(format!("{port}.conf"));
    let shown = |path: &Path| path.display().to_string();
    let mut text = format!("listen: \"127.0.0.1:{port}\"\n");
    if !wanted.none {
        text += &format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: {}{} }}\n",
            shown(&server.cert),
            shown(&server.key),
            shown(&place.authority.ca()),
            wanted.verify,
            if wanted.first { ", handshake_first: true" } else { "" }
        );
    }
    fs::write(&config, text).unwrap();
    let child = Command::new(program).arg("-c").arg(config).stderr(Stdio::null()).spawn().unwrap();
    let server = Server::Theirs(child);
    let until = Instant::now() + LONG;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "nats-server listens");
        thread::yield_now();
    }
    server
}

fn trusting(place: &Place) -> ConnectOptions {
    quick().authority(place.authority.ca())
}

impl Drop for Server {
    fn drop(&mut self) {
        match self {
            Self::Ours(broker) => broker.shutdown(),
            Self::Theirs(child) => child.kill().and_then(|()| child.wait()).map(drop).expect("the child is ours"),
        }
    }
}

/// Whether the server is too old to take the handshake first.
fn is_too_old_for_first() -> bool {
    let Some(program) = std::env::var_os("CROSSTIE_NATS_SERVER") else { return false };
    let output = Command::new(program).arg("-v").output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("v2.9.")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn quick() -> ConnectOptions {
    ConnectOptions::new()
        .backoff(Duration::from_millis(5), Duration::from_millis(50))
        .connect_timeout(LONG)
        .request_timeout(LONG)
}

/// The one face under which both drivers are tried.
trait Face: Sized {
    fn connect(options: ConnectOptions, url: &Endpoint) -> Result<Self, Error>;
    /// Sends so many bytes to itself, and gets them.
    fn round_trip(&self, size: usize) -> Result<(), Error>;
}

impl Face for crosstie_client::blocking::Client {
    fn connect(options: ConnectOptions, url: &Endpoint) -> Result<Self, Error> {
        options.connect_blocking(url)
    }

    fn round_trip(&self, size: usize) -> Result<(), Error> {
        let mut messages = self.subscribe("there.and.back")?;
        self.publish("there.and.back", vec![7; size])?;
        self.flush()?;
        assert_eq!(messages.next_timeout(LONG)?.unwrap().payload.len(), size);
        Ok(())
    }
}

struct OnTokio(crosstie_client::Client);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

impl Face for OnTokio {
    fn connect(options: ConnectOptions, url: &Endpoint) -> Result<Self, Error> {
        runtime().block_on(options.connect(url)).map(Self)
    }

    fn round_trip(&self, size: usize) -> Result<(), Error> {
        runtime().block_on(async {
            let mut messages = self.0.subscribe("there.and.back").await?;
            self.0.publish("there.and.back", vec![7; size]).await?;
            self.0.flush().await?;
            let message = tokio::time::timeout(LONG, messages.next()).await.unwrap().unwrap();
            assert_eq!(message.payload.len(), size);
            Ok(())
        })
    }
}

fn url(text: &str) -> Endpoint {
    text.parse::<Endpoint>().unwrap().trusted()
}

fn a_url_of_tls_connects_and_carries_what_any_other_does<C: Face>() {
    let (place, port) = (Place::new(), free_port());
    let _server = start(&place, port, Wanted::default(), &place.server);
    let ca = place.authority.ca();
    let by_url = url(&format!("tls://127.0.0.1:{port}?ca={}", ca.display()));
    let client = C::connect(quick(), &by_url).unwrap();
    for size in [0, 5, 16_384, 1_000_000] {
        client.round_trip(size).unwrap();
    }
    // A server that asks for it is obliged, whatever the URL says.
    C::connect(trusting(&place), &url(&format!("nats://localhost:{port}"))).unwrap().round_trip(5).unwrap();
}

fn a_server_that_begins_with_the_handshake_is_met_so<C: Face>() {
    if is_too_old_for_first() {
        return;
    }
    let (place, port) = (Place::new(), free_port());
    let _server = start(&place, port, Wanted { first: true, ..Wanted::default() }, &place.server);
    let client = C::connect(trusting(&place).tls_first(), &url(&format!("tls://127.0.0.1:{port}"))).unwrap();
    client.round_trip(100_000).unwrap();
    C::connect(trusting(&place), &url(&format!("tls://127.0.0.1:{port}?handshake=first"))).unwrap();
}

fn a_server_that_asks_for_a_certificate_is_shown_one<C: Face>() {
    let (place, port) = (Place::new(), free_port());
    let _server = start(&place, port, Wanted { verify: true, ..Wanted::default() }, &place.server);
    let at = url(&format!("tls://127.0.0.1:{port}"));
    let shown = trusting(&place).certificate(&place.client.cert, &place.client.key);
    C::connect(shown, &at).unwrap().round_trip(5).unwrap();
    // The control: without one, and with one of a stranger's.
    assert!(C::connect(trusting(&place), &at).is_err());
    let stranger = place.stranger().issue("mallory", &[], Validity::Now);
    assert!(C::connect(trusting(&place).certificate(&stranger.cert, &stranger.key), &at).is_err());
}

fn a_server_that_is_not_to_be_believed_is_told_nothing<C: Face>() {
    let (place, port) = (Place::new(), free_port());
    let _server = start(&place, port, Wanted::default(), &place.server);
    let at = url(&format!("tls://ann:s3cret@127.0.0.1:{port}"));
    let theirs = place.stranger();
    let denied = |options: ConnectOptions, at: &Endpoint| {
        let error = C::connect(options, at).err().expect("it is not believed");
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        error.to_string()
    };
    assert!(denied(quick().authority(theirs.ca()), &at).contains("trusted"));
    assert!(denied(trusting(&place).server_name("bank.example"), &at).contains("another name"));
    drop(_server);
    let port = free_port();
    let late = place.authority.issue("late", &["127.0.0.1"], Validity::Over);
    let _server = start(&place, port, Wanted::default(), &late);
    assert!(denied(trusting(&place), &url(&format!("tls://127.0.0.1:{port}"))).contains("expired"));
}

fn a_server_without_tls_is_not_spoken_to_in_the_clear<C: Face>() {
    let (place, port) = (Place::new(), free_port());
    let _server = start(&place, port, Wanted { none: true, ..Wanted::default() }, &place.server);
    let error = C::connect(trusting(&place), &url(&format!("tls://127.0.0.1:{port}"))).err().unwrap();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    // The control: who does not insist is served.
    C::connect(trusting(&place), &url(&format!("nats://127.0.0.1:{port}"))).unwrap().round_trip(5).unwrap();
}

/// Between client and server somebody puts operations behind the greeting, which is in the clear.
fn what_is_put_behind_the_greeting_is_not_taken_for_the_servers<C: Face>() {
    let (place, port) = (Place::new(), free_port());
    let _server = start(&place, port, Wanted::default(), &place.server);
    for injected in [&b""[..], b"-ERR 'Authorization Violation'\r\n", b"PONG\r\n", b"MSG there.and.back 1 3\r\nbad\r\n"]
    {
        let at = between(port, injected);
        let client = C::connect(trusting(&place), &url(&format!("tls://127.0.0.1:{at}"))).unwrap();
        client.round_trip(5).unwrap();
    }
}

fn between(port: u16, injected: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut greeting = Vec::new();
        let mut byte = [0];
        while !greeting.ends_with(b"\r\n") {
            server.read_exact(&mut byte).unwrap();
            greeting.push(byte[0]);
        }
        // In one write, so that they come together.
        greeting.extend_from_slice(injected);
        client.write_all(&greeting).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut server, &mut client);
    });
    at
}

fn a_restart_of_the_server_heals_by_itself<C: Face>() {
    let (place, port) = (Place::new(), free_port());
    let server = start(&place, port, Wanted::default(), &place.server);
    let client = C::connect(trusting(&place), &url(&format!("tls://127.0.0.1:{port}"))).unwrap();
    client.round_trip(5).unwrap();
    drop(server);
    let _server = start(&place, port, Wanted::default(), &place.server);
    let until = Instant::now() + LONG;
    while let Err(error) = client.round_trip(5) {
        assert!(Instant::now() < until, "it did not heal: {error}");
    }
}

macro_rules! on_both_drivers {
    ($($name:ident),* $(,)?) => {
        mod on_threads {
            $(#[test] fn $name() { super::$name::<crosstie_client::blocking::Client>(); })*
        }
        mod on_tokio {
            $(#[test] fn $name() { super::$name::<super::OnTokio>(); })*
        }
    };
}

on_both_drivers! {
    a_url_of_tls_connects_and_carries_what_any_other_does,
    a_server_that_begins_with_the_handshake_is_met_so,
    a_server_that_asks_for_a_certificate_is_shown_one,
    a_server_that_is_not_to_be_believed_is_told_nothing,
    a_server_without_tls_is_not_spoken_to_in_the_clear,
    what_is_put_behind_the_greeting_is_not_taken_for_the_servers,
    a_restart_of_the_server_heals_by_itself,
}

#[test]
fn files_in_a_url_from_elsewhere_are_not_read() {
    let from_elsewhere: Endpoint = "tls://127.0.0.1:1?ca=/etc/passwd".parse().unwrap();
    let error = quick().connect_blocking(&from_elsewhere).err().unwrap();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
}
