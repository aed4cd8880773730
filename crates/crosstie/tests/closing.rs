//! A client that is closed while it connects gives up at once, with both drivers.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use crosstie_client::ConnectOptions;

/// A listener that takes no more connections, and those that fill it.
struct Full {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Full {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_: &usize| TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        let waiting: Vec<_> = (0..100).map_while(|at| connect(&at)).collect();
        assert!(waiting.len() < 100, "it should be full by now");
        Self { listener, _waiting: waiting }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// How many connections to it are being made at this moment, by the kernel's own account.
    fn attempts(&self) -> usize {
        let remote = format!("0100007F:{:04X}", self.address().port());
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row.get(2) == Some(&remote.as_str()) && row.get(3) == Some(&"02")).count()
    }

    fn until_attempts_are(&self, count: usize) {
        let begun = Instant::now();
        while self.attempts() != count {
            assert!(begun.elapsed() < Duration::from_secs(10), "{} attempts, expected {count}", self.attempts());
            std::thread::yield_now();
        }
    }
}

/// Patient enough that only closing can end an attempt within this test.
fn options() -> ConnectOptions {
    ConnectOptions::new().connect_timeout(Duration::from_secs(600)).retry_on_initial_connect()
}

#[test]
fn closing_ends_an_attempt_to_connect_on_a_thread() {
    let full = Full::new();
    full.until_attempts_are(0);
    let client = options().connect_blocking(format!("nats://{}", full.address()).as_str()).unwrap();
    full.until_attempts_are(1);
    client.close();
    full.until_attempts_are(0);
}

#[test]
fn closing_ends_an_attempt_to_connect_on_tokio() {
    let full = Full::new();
    full.until_attempts_are(0);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = runtime.block_on(options().connect(format!("nats://{}", full.address()).as_str())).unwrap();
    full.until_attempts_are(1);
    client.close();
    full.until_attempts_are(0);
}

#[test]
fn control_without_closing_the_attempt_goes_on() {
    let full = Full::new();
    full.until_attempts_are(0);
    let client = options().connect_blocking(format!("nats://{}", full.address()).as_str()).unwrap();
    full.until_attempts_are(1);
    // It publishes meanwhile, which must not disturb the attempt either.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(200) {
        client.publish("a", "b").unwrap();
        assert_eq!(full.attempts(), 1);
    }
}

#[test]
fn a_name_with_a_dead_address_is_tried_to_the_end() {
    // Whatever `localhost` means here, somebody listens on the last of its addresses at most.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("nats://localhost:{}", listener.local_addr().unwrap().port());
    let client = options().connect_blocking(target.as_str()).unwrap();
    listener.accept().unwrap();
    client.close();
}

/// A server that lets a client in and reads no more.
fn deaf_server() -> (SocketAddr, std::thread::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"INFO {\"max_payload\":1048576}\r\n").unwrap();
        let (mut said, mut buffer) = (Vec::new(), [0; 1024]);
        while !said.ends_with(b"PING\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            said.extend_from_slice(&buffer[..count]);
        }
        stream.write_all(b"PONG\r\n").unwrap();
        stream
    });
    (address, serving)
}

#[test]
fn closing_ends_a_write_that_is_blocked_on_tokio() {
    let (address, serving) = deaf_server();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = runtime.block_on(options().connect(format!("nats://{address}").as_str())).unwrap();
    let _stream = serving.join().unwrap();
    let publish =
        async || tokio::time::timeout(Duration::from_millis(300), client.publish("a", vec![0; 500_000])).await;
    let begun = Instant::now();
    while runtime.block_on(publish()).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it should be full by now");
    }
    assert_eq!(runtime.metrics().num_alive_tasks(), 1, "the driver");
    client.close();
    let begun = Instant::now();
    while runtime.metrics().num_alive_tasks() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the driver still runs");
        std::thread::yield_now();
    }
}
