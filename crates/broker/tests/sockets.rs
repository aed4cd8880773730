//! The broker over real sockets, spoken to by hand.

mod served;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crosstie_broker::{Auth, Broker, Options, Permissions, Rule, Rules, Secret, User};
use crosstie_core::{HostPort, Target};
use crosstie_net::SocketListener;

use self::served::serve;

/// A client that writes text and reads until it has seen what it waits for.
struct Client {
    stream: TcpStream,
    seen: String,
}

impl Client {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut client = Self { stream, seen: String::new() };
        client.until("\r\n");
        client.seen.clear();
        client
    }

    fn open(port: u16) -> Self {
        let mut client = Self::connect(port);
        client.say("CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n");
        client
    }

    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Everything up to and including `end`.
    fn until(&mut self, end: &str) -> String {
        let mut buffer = [0; 65536];
        loop {
            if let Some(at) = self.seen.find(end) {
                return self.seen.drain(..at + end.len()).collect();
            }
            let count = self.stream.read(&mut buffer).unwrap_or_else(|e| panic!("{e}; seen {:?}", self.seen));
            assert!(count > 0, "closed while waiting for {end:?}; seen {:?}", self.seen);
            self.seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }

    /// What comes until the answer to a `PING`: everything that was earned before it.
    fn fence(&mut self) -> String {
        self.say("PING\r\n");
        self.until("PONG\r\n").trim_end_matches("PONG\r\n").to_owned()
    }

    /// What comes until the end of the stream.
    fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset instead of an end is an end as well.
        let _ = self.stream.read_to_end(&mut bytes);
        self.seen.push_str(std::str::from_utf8(&bytes).unwrap());
        std::mem::take(&mut self.seen)
    }
}

#[test]
fn a_message_reaches_every_subscriber_once_and_one_of_a_group() {
    let (broker, port) = serve(Options::default());
    let mut all = Client::open(port);
    all.say("SUB a.* 1\r\nSUB a.> 2\r\n");
    all.fence();
    let mut members = [Client::open(port), Client::open(port)];
    for member in &mut members {
        member.say("SUB a.b group 7\r\n");
        member.fence();
    }
    let mut publisher = Client::open(port);
    for i in 0..100 {
        publisher.say(&format!("PUB a.b 3\r\n{i:03}\r\n"));
    }
    publisher.fence();
    let got = all.fence();
    for i in 0..100 {
        assert_eq!(got.matches(&format!("MSG a.b 1 3\r\n{i:03}\r\n")).count(), 1);
        assert_eq!(got.matches(&format!("MSG a.b 2 3\r\n{i:03}\r\n")).count(), 1);
    }
    let counts = members.each_mut().map(|member| member.fence().matches("MSG a.b 7 3").count());
    assert_eq!(counts.iter().sum::<usize>(), 100);
    assert!(counts.iter().all(|count| *count > 10), "the load is spread: {counts:?}");
    assert_eq!(broker.snapshot().in_msgs, 100);
    assert_eq!(broker.snapshot().out_msgs, 300);
    broker.shutdown();
}

#[test]
fn a_request_nobody_hears_is_answered_with_503() {
    let (broker, port) = serve(Options::default());
    let mut client = Client::open(port);
    client.say("SUB inbox.1 9\r\nPUB nobody inbox.1 2\r\nhi\r\n");
    assert_eq!(client.fence(), "HMSG inbox.1 9 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n");
    broker.shutdown();
}

#[test]
fn headers_are_passed_on_and_cut_off_for_those_who_cannot_read_them() {
    let (broker, port) = serve(Options::default());
    let (mut new, mut old) = (Client::open(port), Client::connect(port));
    new.say("SUB h 1\r\n");
    new.fence();
    old.say("CONNECT {\"verbose\":false}\r\nSUB h 1\r\n");
    old.fence();
    new.say("HPUB h r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nxy\r\n");
    assert_eq!(new.fence(), "HMSG h 1 r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nxy\r\n");
    assert_eq!(old.fence(), "MSG h 1 r 2\r\nxy\r\n");
    broker.shutdown();
}

#[test]
fn a_subscription_ends_after_the_count_it_asked_for() {
    let (broker, port) = serve(Options::default());
    let mut client = Client::open(port);
    client.say("SUB a 1\r\nUNSUB 1 2\r\nPUB a 1\r\nx\r\nPUB a 1\r\ny\r\nPUB a 1\r\nz\r\n");
    assert_eq!(client.fence(), "MSG a 1 1\r\nx\r\nMSG a 1 1\r\ny\r\n");
    assert_eq!(broker.snapshot().subscriptions, 0);
    broker.shutdown();
}

#[test]
fn a_large_payload_arrives_whole_at_all() {
    let (broker, port) = serve(Options::default());
    let mut clients = [Client::open(port), Client::open(port), Client::open(port)];
    for client in &mut clients {
        client.say("SUB big 1\r\n");
        client.fence();
    }
    let body: String = (0..1_000_000).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    let mut publisher = Client::open(port);
    publisher.say(&format!("PUB big {}\r\n{body}\r\n", body.len()));
    publisher.fence();
    for client in &mut clients {
        assert!(client.fence() == format!("MSG big 1 {}\r\n{body}\r\n", body.len()));
    }
    publisher.say("PUB big 1048577\r\n");
    assert_eq!(publisher.rest(), "-ERR 'Maximum Payload Violation'\r\n");
    broker.shutdown();
}

fn with_users() -> Options {
    let rule = |text: &str| Rule { subject: text.parse().unwrap(), queue: None };
    let permissions = Permissions {
        publish: Rules { allow: Some(vec![rule("open.>")]), deny: vec![rule("open.secret")] },
        subscribe: Rules { allow: None, deny: vec![rule("secret.>")] },
        responses: None,
    };
    let mut options = Options::default();
    let mut auth = Auth::default();
    auth.users = vec![
        User { name: "ann".into(), password: Secret::new("a"), permissions },
        User { name: "bob".into(), password: Secret::new(bcrypt_of("b")), permissions: Permissions::default() },
    ];
    auth.timeout = Duration::from_millis(300);
    options.auth = auth;
    options
}

/// `bcrypt("b")` at cost 4.
fn bcrypt_of(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

fn log_in(port: u16, user: &str, pass: &str) -> Client {
    let mut client = Client::connect(port);
    client.say(&format!("CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"{pass}\"}}\r\nPING\r\n"));
    client
}

#[test]
fn only_those_who_know_the_password_get_in() {
    let (broker, port) = serve(with_users());
    assert_eq!(log_in(port, "ann", "a").until("PONG\r\n"), "PONG\r\n");
    assert_eq!(log_in(port, "bob", "b").until("PONG\r\n"), "PONG\r\n");
    for (user, pass) in [("ann", "b"), ("bob", "x"), ("eve", "a"), ("", "")] {
        assert_eq!(log_in(port, user, pass).rest(), "-ERR 'Authorization Violation'\r\n", "{user}");
    }
    let mut early = Client::connect(port);
    early.say("PUB a 0\r\n\r\n");
    assert_eq!(early.rest(), "-ERR 'Authorization Violation'\r\n");
    let asked = Instant::now();
    assert_eq!(Client::connect(port).rest(), "-ERR 'Authentication Timeout'\r\n");
    assert!(asked.elapsed() < Duration::from_secs(5));
    broker.shutdown();
}

#[test]
fn permissions_hold_for_publishing_subscribing_and_wildcards() {
    let (broker, port) = serve(with_users());
    let mut ann = log_in(port, "ann", "a");
    ann.until("PONG\r\n");
    ann.say("SUB > 1\r\nSUB secret.x 2\r\nPUB open.secret 0\r\n\r\nPUB other 0\r\n\r\nPUB open.a 1\r\nx\r\n");
    assert_eq!(
        ann.fence(),
        "-ERR 'Permissions Violation for Subscription to \"secret.x\"'\r\n\
         -ERR 'Permissions Violation for Publish to \"open.secret\"'\r\n\
         -ERR 'Permissions Violation for Publish to \"other\"'\r\nMSG open.a 1 1\r\nx\r\n"
    );
    let mut bob = log_in(port, "bob", "b");
    bob.until("PONG\r\n");
    bob.say("PUB secret.x 1\r\ns\r\nPUB shown 1\r\nt\r\n");
    bob.fence();
    assert_eq!(ann.fence(), "MSG shown 1 1\r\nt\r\n", "a wildcard does not show what is denied");
    broker.shutdown();
}

#[test]
fn a_client_that_takes_nothing_is_cut_off_and_others_are_not_hurt() {
    let mut options = Options::default();
    options.limits.max_pending = 256 * 1024;
    let (broker, port) = serve(options);
    let mut stuck = Client::open(port);
    stuck.say("SUB flood 1\r\n");
    stuck.fence();
    let mut honest = Client::open(port);
    honest.say("SUB calm 1\r\n");
    honest.fence();
    let mut publisher = Client::open(port);
    let frame = format!("PUB flood 8192\r\n{}\r\n", "x".repeat(8192));
    let begun = Instant::now();
    while broker.snapshot().slow_consumers == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the stuck client is still there");
        publisher.say(&frame);
    }
    publisher.say("PUB calm 2\r\nok\r\n");
    assert_eq!(honest.until("ok\r\n"), "MSG calm 1 2\r\nok\r\n");
    publisher.fence();
    assert_eq!(broker.snapshot().connections, 2);
    assert_eq!(broker.snapshot().pending_bytes, 0);
    broker.shutdown();
}

#[test]
fn lame_duck_mode_tells_clients_and_ends() {
    let mut options = Options::default();
    options.lame_duck_grace = Duration::from_millis(50);
    options.lame_duck_duration = Duration::from_millis(100);
    let (broker, port) = serve(options);
    let mut client = Client::connect(port);
    client.say("CONNECT {\"verbose\":false,\"protocol\":1}\r\n");
    client.fence();
    broker.lame_duck();
    assert!(client.until("\r\n").contains("\"ldm\":true"));
    assert_eq!(client.rest(), "");
    broker.wait();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn an_open_door_to_the_network_has_to_be_spelled_out() {
    let bind = || {
        let target = Target::Tcp { host: HostPort { host: "0.0.0.0".into(), port: 0 } };
        vec![SocketListener::bind_and_ask(&target).unwrap()]
    };
    let error = Broker::start(Options::default(), bind()).err().expect("refused");
    assert!(error.to_string().contains("insecure"), "{error}");
    let mut spelled = Options::default();
    spelled.insecure = true;
    Broker::start(spelled, bind()).unwrap().shutdown();
    Broker::start(with_users(), bind()).unwrap().shutdown();
}

/// Begins a payload of 100 000 bytes on each of eight connections, which never end it; says what the broker holds of them in the
/// end, and how many of them it cut off.
fn held_by_eight(limit: usize) -> (u64, u64) {
    let mut options = Options::default();
    options.limits.max_held_input_total = limit;
    let (broker, port) = serve(options);
    let mut hoarders: Vec<_> = (0..8).map(|_| Client::open(port)).collect();
    for hoarder in &mut hoarders {
        hoarder.fence();
        // One that is cut off meanwhile cannot write any more.
        let _ = hoarder.stream.write_all(format!("PUB a 100000\r\n{}", "x".repeat(90_000)).as_bytes());
    }
    let begun = Instant::now();
    let all_came = || {
        let snapshot = broker.snapshot();
        let kept = 8 - snapshot.held_input_evictions;
        (snapshot.held_input_bytes >= kept * 90_000).then_some((snapshot.held_input_bytes, 8 - kept))
    };
    // One with small operations is not hurt.
    let mut honest = Client::open(port);
    honest.say("SUB b 1\r\nPUB b 2\r\nhi\r\n");
    assert!(honest.fence().contains("hi"));
    loop {
        if let Some(outcome) = all_came() {
            return outcome;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", broker.snapshot());
        honest.fence();
    }
}

#[test]
fn announced_payloads_that_never_end_do_not_fill_the_memory() {
    let (held, cut_off) = held_by_eight(512 * 1024);
    assert!(held <= 512 * 1024 && cut_off >= 3, "{held} bytes held, {cut_off} cut off");
}

#[test]
fn control_without_the_limit_announced_payloads_are_held() {
    let (held, cut_off) = held_by_eight(usize::MAX);
    assert!(held > 512 * 1024 && cut_off == 0, "{held} bytes held, {cut_off} cut off");
}

#[test]
fn a_reload_does_not_open_the_door_either() {
    let target = Target::Tcp { host: HostPort { host: "0.0.0.0".into(), port: 0 } };
    let mut options = Options::default();
    options.auth.token = Some(Secret::new("secret"));
    let broker = Broker::start(options.clone(), vec![SocketListener::bind_and_ask(&target).unwrap()]).unwrap();
    options.auth.token = None;
    let error = broker.reload(options.clone()).unwrap_err();
    assert!(error.to_string().contains("insecure"), "{error}");
    assert!(broker.options().auth.is_required());
    options.insecure = true;
    broker.reload(options).unwrap();
    assert!(!broker.options().auth.is_required());
    broker.shutdown();
}

#[test]
fn what_a_client_said_before_it_ended_is_done_though_its_password_is_checked_first() {
    let bob = User { name: "bob".into(), password: Secret::new(bcrypt_of("b")), permissions: Permissions::default() };
    let mut options = Options::default();
    options.auth.users = vec![bob];
    let (broker, port) = serve(options);
    let login = "CONNECT {\"verbose\":false,\"user\":\"bob\",\"pass\":\"b\"}\r\n";
    let mut watcher = Client::connect(port);
    watcher.say(login);
    watcher.say("SUB x 1\r\n");
    watcher.fence();
    for _ in 0..20 {
        let mut client = Client::connect(port);
        client.say(&format!("{login}PUB x 2\r\nhi\r\nPING\r\n"));
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.rest(), "PONG\r\n", "its end is seen after the check");
        assert_eq!(watcher.until("hi\r\n"), "MSG x 1 2\r\nhi\r\n");
    }
    broker.shutdown();
}

#[test]
fn what_a_client_said_before_it_ended_is_done_though_it_had_to_pause() {
    const COUNT: usize = 20_000;
    let (broker, port) = serve(Options::default());
    let mut slow = Client::open(port);
    slow.say("SUB x 1\r\n");
    slow.fence();
    let publisher = thread::spawn(move || {
        let mut publisher = Client::open(port);
        let message = format!("PUB x 1024\r\n{}\r\n", "m".repeat(1024));
        for _ in 0..COUNT / 100 {
            publisher.say(&message.repeat(100));
        }
        publisher.stream.shutdown(Shutdown::Write).unwrap();
        publisher.rest()
    });
    // It reads only when the publisher has written all that the broker takes from it.
    assert_eq!(publisher.join().unwrap(), "");
    let message = format!("MSG x 1 1024\r\n{}\r\n", "m".repeat(1024));
    let mut left = COUNT * message.len();
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        let count = slow.stream.read(&mut buffer).unwrap();
        assert!(count > 0 && count <= left, "{left} bytes are missing");
        left -= count;
    }
    broker.shutdown();
}

#[test]
fn busy_clients_are_not_cut_off_for_what_their_turns_leave() {
    const CLIENTS: usize = 24;
    let mut options = Options::default();
    options.reactors = 1;
    // A first read of each would be three times as much.
    options.limits.max_held_input_total = 256 * 1024;
    let (broker, port) = serve(options);
    // Each message makes an effort for a hundred receivers, none of whom takes it.
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut client = Client::connect(port);
            client.say("CONNECT {\"verbose\":false,\"echo\":false}\r\n");
            client.say(&(0..100).map(|sid| format!("SUB x.{number} {sid}\r\n")).collect::<String>());
            // As long as all of it is taken in at once, more and more is read at a time.
            client.say(&"PUB nobody 1\r\nm\r\n".repeat(15_000));
            client.fence();
            client
        })
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(&(format!("PUB x.{number} 1\r\nm\r\n").repeat(3_000) + "PING\r\n"));
    }
    for client in &mut clients {
        client.until("PONG\r\n");
    }
    assert_eq!(broker.snapshot().held_input_evictions, 0);
    broker.shutdown();
}

#[test]
fn whoever_is_on_the_way_when_the_broker_ends_is_closed_like_everybody() {
    for _ in 0..20 {
        let (broker, port) = serve(Options::default());
        let mut publishers: Vec<_> = (0..8).map(|_| Client::open(port)).collect();
        thread::scope(|scope| {
            for publisher in &mut publishers {
                scope.spawn(|| {
                    let text = "PUB x 8\r\n12345678\r\n".repeat(3000);
                    while publisher.stream.write_all(text.as_bytes()).is_ok() {}
                });
            }
            let until = Instant::now() + Duration::from_secs(20);
            while broker.snapshot().in_msgs < 50_000 {
                assert!(Instant::now() < until);
                thread::yield_now();
            }
            broker.shutdown();
        });
        assert_eq!(broker.connections(false).len(), 0);
        assert_eq!(broker.closed_connections().len(), publishers.len());
    }
}
