//! What a client promises, tried on both drivers against our own broker or, with `CROSSTIE_NATS_SERVER`, against nats-server.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crosstie_broker::{Broker, Options, Permissions, Secret, User};
use crosstie_client::{ConnectOptions, Event, Events, blocking};
use crosstie_core::{Error, Headers, HostPort, Kind, Message, Target};
use crosstie_net::SocketListener;

/// The server that the promises are tried against: our broker in this process or, if `CROSSTIE_NATS_SERVER` is set, the program it names.
enum Server {
    Ours(Broker),
    Theirs(Child),
}

impl Server {
    /// Starts a server on a free port; with `login`, for this user and password alone.
    fn start(login: Option<(&str, &str)>) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        (Self::start_at(port, login), port)
    }

    fn start_at(port: u16, login: Option<(&str, &str)>) -> Self {
        let Some(program) = std::env::var_os("CROSSTIE_NATS_SERVER") else {
            let mut options = Options::default();
            if let Some((name, password)) = login {
                options.auth.users = vec![User {
                    name: name.into(),
                    password: Secret::new(password),
                    permissions: Permissions::default(),
                }];
            }
            let target = Target::Tcp { host: HostPort { host: "127.0.0.1".into(), port } };
            return Self::Ours(Broker::start(options, vec![SocketListener::bind(&target).unwrap()]).unwrap());
        };
        let mut command = Command::new(program);
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]).stderr(Stdio::null());
        if let Some((name, password)) = login {
            command.args(["--user", name, "--pass", password]);
        }
        let server = Self::Theirs(command.spawn().expect("CROSSTIE_NATS_SERVER names a program"));
        until("nats-server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    /// Ends the server, as dropping it does, but visibly.
    fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        match self {
            Self::Ours(broker) => broker.shutdown(),
            Self::Theirs(child) => {
                child.kill().and_then(|()| child.wait()).expect("the child is ours");
            }
        }
    }
}

fn url(port: u16) -> String {
    format!("nats://127.0.0.1:{port}")
}

fn quick() -> ConnectOptions {
    ConnectOptions::new()
        .backoff(Duration::from_millis(5), Duration::from_millis(50))
        .request_timeout(Duration::from_secs(10))
}

const LONG: Duration = Duration::from_secs(10);

/// The one face under which both drivers are tried.
trait Face: Sized + Clone + Send + 'static {
    type Stream: Send;
    fn connect(options: ConnectOptions, url: &str) -> Result<Self, Error>;
    fn publish(&self, message: Message) -> Result<(), Error>;
    fn subscribe(&self, pattern: &str, group: Option<&str>) -> Result<Self::Stream, Error>;
    /// The next message; `None` at the end. Panics if none comes in ten seconds.
    fn next(&self, stream: &mut Self::Stream) -> Option<Message>;
    fn end_after(&self, stream: &Self::Stream, max: u64);
    fn request(&self, subject: &str, payload: &str, timeout: Duration) -> Result<Message, Error>;
    fn request_many(&self, subject: &str, max: u64, timeout: Duration) -> Result<usize, Error>;
    fn flush(&self) -> Result<(), Error>;
    fn drain(&self) -> Result<(), Error>;
    fn is_connected(&self) -> bool;
    fn reconnects(&self) -> u64;
}

impl Face for blocking::Client {
    type Stream = blocking::Subscription;

    fn connect(options: ConnectOptions, url: &str) -> Result<Self, Error> {
        options.connect_blocking(url)
    }
    fn publish(&self, message: Message) -> Result<(), Error> {
        self.publish_message(message)
    }
    fn subscribe(&self, pattern: &str, group: Option<&str>) -> Result<Self::Stream, Error> {
        match group {
            Some(group) => self.queue_subscribe(pattern, group),
            None => Self::subscribe(self, pattern),
        }
    }
    fn next(&self, stream: &mut Self::Stream) -> Option<Message> {
        stream.next_timeout(LONG).unwrap()
    }
    fn end_after(&self, stream: &Self::Stream, max: u64) {
        stream.unsubscribe_after(max);
    }
    fn request(&self, subject: &str, payload: &str, timeout: Duration) -> Result<Message, Error> {
        Self::request(self, subject, payload.to_owned()).timeout(timeout).send()
    }
    fn request_many(&self, subject: &str, max: u64, timeout: Duration) -> Result<usize, Error> {
        let mut replies = Self::request_many(self, subject, "", max, timeout)?;
        let mut count = 0;
        while replies.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
    fn flush(&self) -> Result<(), Error> {
        Self::flush(self)
    }
    fn drain(&self) -> Result<(), Error> {
        Self::drain(self)
    }
    fn is_connected(&self) -> bool {
        Self::is_connected(self)
    }
    fn reconnects(&self) -> u64 {
        self.stats().reconnects
    }
}

/// The async client, each call run to its end.
#[derive(Clone)]
struct OnTokio(crosstie_client::Client);

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

impl Face for OnTokio {
    type Stream = crosstie_client::Subscription;

    fn connect(options: ConnectOptions, url: &str) -> Result<Self, Error> {
        runtime().block_on(options.connect(url)).map(Self)
    }
    fn publish(&self, message: Message) -> Result<(), Error> {
        runtime().block_on(self.0.publish_message(message))
    }
    fn subscribe(&self, pattern: &str, group: Option<&str>) -> Result<Self::Stream, Error> {
        match group {
            Some(group) => runtime().block_on(self.0.queue_subscribe(pattern, group)),
            None => runtime().block_on(self.0.subscribe(pattern)),
        }
    }
    fn next(&self, stream: &mut Self::Stream) -> Option<Message> {
        runtime().block_on(async { tokio::time::timeout(LONG, stream.next()).await.expect("a message in time") })
    }
    fn end_after(&self, stream: &Self::Stream, max: u64) {
        stream.unsubscribe_after(max);
    }
    fn request(&self, subject: &str, payload: &str, timeout: Duration) -> Result<Message, Error> {
        runtime().block_on(async { self.0.request(subject, payload.to_owned()).timeout(timeout).await })
    }
    fn request_many(&self, subject: &str, max: u64, timeout: Duration) -> Result<usize, Error> {
        runtime().block_on(async {
            let mut replies = self.0.request_many(subject, "", max, timeout).await?;
            let mut count = 0;
            while replies.next().await?.is_some() {
                count += 1;
            }
            Ok(count)
        })
    }
    fn flush(&self) -> Result<(), Error> {
        runtime().block_on(self.0.flush())
    }
    fn drain(&self) -> Result<(), Error> {
        runtime().block_on(self.0.drain())
    }
    fn is_connected(&self) -> bool {
        self.0.is_connected()
    }
    fn reconnects(&self) -> u64 {
        self.0.stats().reconnects
    }
}

fn note(subject: &str, payload: impl Into<bytes::Bytes>) -> Message {
    Message::new(subject.parse().unwrap(), payload)
}

/// Waits until `condition` holds, at most ten seconds.
fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "{what}");
        std::thread::yield_now();
    }
}

fn messages_arrive_in_order_with_headers_and_reply<C: Face>() {
    let (server, port) = Server::start(None);
    let client = C::connect(quick(), &url(port)).unwrap();
    let mut stream = client.subscribe("a.*", None).unwrap();
    for i in 0..1000 {
        let mut message = note("a.b", format!("{i}"));
        message.headers.append("Number", i.to_string()).unwrap();
        message.reply = Some("r".parse().unwrap());
        client.publish(message).unwrap();
    }
    client.publish(note("a.c", vec![7; 300_000])).unwrap();
    for i in 0..1000 {
        let message = client.next(&mut stream).unwrap();
        assert_eq!(
            (message.payload, message.headers.get("Number")),
            (format!("{i}").into(), Some(i.to_string().as_str()))
        );
        assert_eq!(message.reply.unwrap().as_str(), "r");
    }
    let large = client.next(&mut stream).unwrap();
    assert!(large.payload.len() == 300_000 && large.payload.iter().all(|b| *b == 7) && large.headers == Headers::new());
    server.stop();
}

fn a_queue_group_shares_and_a_limit_ends<C: Face>() {
    let (server, port) = Server::start(None);
    let clients: Vec<C> = (0..3).map(|_| C::connect(quick(), &url(port)).unwrap()).collect();
    let mut streams: Vec<_> = clients.iter().map(|client| client.subscribe("work", Some("group")).unwrap()).collect();
    let mut limited = clients[0].subscribe("work", None).unwrap();
    clients[0].end_after(&limited, 5);
    for client in &clients {
        client.flush().unwrap();
    }
    for i in 0..90 {
        clients[1].publish(note("work", i.to_string())).unwrap();
    }
    clients[1].flush().unwrap();
    let mut seen = Vec::new();
    for (client, stream) in clients.iter().zip(&mut streams) {
        client.drain().unwrap();
        while let Some(message) = client.next(stream) {
            seen.push(String::from_utf8_lossy(&message.payload).parse::<u32>().unwrap());
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..90).collect::<Vec<_>>(), "each message went to exactly one member");
    assert_eq!(std::iter::from_fn(|| clients[0].next(&mut limited)).count(), 5);
    server.stop();
}

fn a_request_is_answered_or_says_why_not<C: Face>() {
    let (server, port) = Server::start(None);
    let client = C::connect(quick(), &url(port)).unwrap();
    let service = client.clone();
    let mut stream = service.subscribe("echo", None).unwrap();
    let mut mute = client.subscribe("mute", None).unwrap();
    service.flush().unwrap();
    let worker = std::thread::spawn(move || {
        while let Some(message) = service.next(&mut stream) {
            let reply = message.reply.unwrap();
            service.publish(Message::new(reply.clone(), message.payload.clone())).unwrap();
            if message.payload.is_empty() {
                service.publish(Message::new(reply, "second")).unwrap();
            }
            if message.payload == "stop" {
                return;
            }
        }
    });
    for i in 0..50 {
        assert_eq!(client.request("echo", &i.to_string(), LONG).unwrap().payload, i.to_string());
    }
    assert_eq!(client.request_many("echo", 2, LONG).unwrap(), 2);
    let kind = |result: Result<Message, Error>| result.unwrap_err().kind();
    assert_eq!(kind(client.request("nobody", "", LONG)), Kind::NoResponders);
    assert_eq!(kind(client.request("mute", "", Duration::from_millis(50))), Kind::Timeout);
    assert_eq!(kind(client.request("not valid", "", LONG)), Kind::InvalidInput);
    client.request("echo", "stop", LONG).unwrap();
    worker.join().unwrap();
    let waiting = client.clone();
    let lost = std::thread::spawn(move || waiting.request("mute", "", LONG));
    // The one that came too late, and this one: once it is here, the server has it.
    client.next(&mut mute).unwrap();
    client.next(&mut mute).unwrap();
    server.stop();
    assert_eq!(kind(lost.join().unwrap()), Kind::Disconnected);
    drop(mute);
}

fn a_restart_of_the_broker_heals_by_itself<C: Face>() {
    let (server, port) = Server::start(None);
    let client = C::connect(quick(), &url(port)).unwrap();
    let mut stream = client.subscribe("news", None).unwrap();
    client.flush().unwrap();
    server.stop();
    until("the client notices", || !client.is_connected());
    client.publish(note("news", "kept")).unwrap();
    let again = Server::start_at(port, None);
    assert_eq!(client.next(&mut stream).unwrap().payload, "kept");
    assert_eq!(client.reconnects(), 1);
    again.stop();
}

fn credentials_are_shown_and_wrong_ones_named<C: Face>() {
    let (server, port) = Server::start(Some(("ann", "pw")));
    C::connect(quick(), &format!("nats://ann:pw@127.0.0.1:{port}")).unwrap().flush().unwrap();
    C::connect(quick().user("ann", "pw"), &url(port)).unwrap().flush().unwrap();
    let error = C::connect(quick().user("ann", "wrong"), &url(port)).err().unwrap();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    server.stop();
    let error = C::connect(quick(), &url(port)).err().unwrap();
    assert_eq!(error.kind(), Kind::Disconnected, "{error}");
    let error = C::connect(quick(), "udp://127.0.0.1:1").err().unwrap();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
}

fn publishing_faster_than_the_wire_waits_and_loses_nothing<C: Face>() {
    const COUNT: usize = 20_000;
    let (server, port) = Server::start(None);
    let receiver = C::connect(quick(), &url(port)).unwrap();
    let mut stream = receiver.subscribe("flood.*", None).unwrap();
    receiver.flush().unwrap();
    let client = C::connect(quick().write_buffer(1000), &url(port)).unwrap();
    let publishers: Vec<_> = (0..3)
        .map(|who| {
            let client = client.clone();
            std::thread::spawn(move || {
                for i in 0..COUNT {
                    client.publish(note(&format!("flood.{who}"), i.to_string())).unwrap();
                }
                client.flush().unwrap();
            })
        })
        .collect();
    let mut expected = [0; 3];
    for _ in 0..3 * COUNT {
        let message = receiver.next(&mut stream).unwrap();
        let who: usize = message.subject.as_str().trim_start_matches("flood.").parse().unwrap();
        assert_eq!(message.payload, expected[who].to_string(), "each publisher's order");
        expected[who] += 1;
    }
    for publisher in publishers {
        publisher.join().unwrap();
    }
    server.stop();
}

/// A server that greets, and then never reads again.
fn a_server_that_takes_nothing_makes_nobody_wait_for_ever<C: Face>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(b"INFO {\"max_payload\":1048576,\"headers\":true}\r\n").unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"PING\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            read.push(byte[0]);
        }
        stream.write_all(b"PONG\r\n").unwrap();
        stream
    });
    let client = C::connect(quick().request_timeout(Duration::from_millis(50)), &url(port)).unwrap();
    let stream = server.join().unwrap();
    let fill = || {
        let full = (0..1000).find_map(|_| client.publish(note("a", vec![0; 100_000])).err());
        assert_eq!(full.expect("a socket has no room for 100 MB").kind(), Kind::Timeout);
    };
    // What finds no room is not sent, and says so. The system may find some after all; then it is full again sooner or later.
    let short = Duration::from_millis(10);
    let was_not_sent = |error: Error| {
        assert_eq!(error.kind(), Kind::Timeout);
        error.to_string().ends_with("nothing was sent")
    };
    let is_told = |ask: &dyn Fn() -> Result<(), Error>| {
        (0..50).any(|_| {
            fill();
            ask().is_err_and(was_not_sent)
        })
    };
    assert!(is_told(&|| client.request("a", "", short).map(drop)));
    assert!(is_told(&|| client.request_many("a", 2, short).map(drop)));
    drop(stream);
}

macro_rules! on_both_drivers {
    ($($name:ident)*) => {
        mod on_a_thread {
            $(#[test] fn $name() { super::$name::<super::blocking::Client>(); })*
        }
        mod on_tokio {
            $(#[test] fn $name() { super::$name::<super::OnTokio>(); })*
        }
    };
}

on_both_drivers! {
    messages_arrive_in_order_with_headers_and_reply
    a_queue_group_shares_and_a_limit_ends
    a_request_is_answered_or_says_why_not
    a_restart_of_the_broker_heals_by_itself
    credentials_are_shown_and_wrong_ones_named
    publishing_faster_than_the_wire_waits_and_loses_nothing
    a_server_that_takes_nothing_makes_nobody_wait_for_ever
}

#[test]
fn a_slow_user_is_told_and_nothing_grows_without_bound() {
    let (server, port) = Server::start(None);
    let options = quick().subscription_capacity(10);
    let client = options.connect_blocking(&url(port)).unwrap();
    let slow = client.subscribe("s").unwrap();
    for _ in 0..100 {
        client.publish("s", "x").unwrap();
    }
    client.flush().unwrap();
    assert_eq!(slow.dropped(), 90);
    server.stop();
}

#[test]
fn events_tell_the_story_of_the_connection() {
    let (server, port) = Server::start(None);
    let client = runtime().block_on(quick().connect(&url(port))).unwrap();
    let mut events = client.events();
    server.stop();
    let told = |events: &mut Events| {
        runtime().block_on(async { [events.next().await.unwrap(), events.next().await.unwrap()] })
    };
    let [connected, Event::Disconnected(why)] = told(&mut events) else { panic!("the loss is told") };
    assert_eq!(connected, Event::Connected);
    assert!(!why.is_empty());
    // Another reader misses nothing of what the first has read.
    assert_eq!(told(&mut client.events()), [Event::Connected, Event::Disconnected(why)]);
    client.close();
    assert_eq!(runtime().block_on(events.next()), Some(Event::Closed));
    assert_eq!(runtime().block_on(events.next()), None);
}
