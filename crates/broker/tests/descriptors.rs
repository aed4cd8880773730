//! Descriptors of clients who are gone, while a broker is never at rest. Alone in its program, which counts all of them.

mod served;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crosstie_broker::Options;

use self::served::serve;

/// A client that never says `CONNECT`, so that nothing is due for it soon.
fn open(port: u16, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(format!("{text}PING\r\n").as_bytes()).unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("PONG\r\n") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0);
        seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    stream
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn clients_who_are_gone_hold_no_descriptor_while_others_publish() {
    const CLIENTS: usize = 10;
    let mut options = Options::default();
    (options.reactors, options.ping_interval) = (1, Duration::from_secs(3600));
    options.write_deadline = Duration::from_secs(3600);
    let (broker, port) = serve(options);
    let mut publisher = open(port, "");
    let before = descriptors();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| open(port, "SUB x 1\r\n")).collect();
    assert_eq!(descriptors(), before + 2 * CLIENTS);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                publisher.write_all(b"PUB x 1\r\nm\r\nPUB y 1\r\nm\r\n").unwrap();
                thread::sleep(Duration::from_micros(200));
            }
        });
        // The reactor knows all of them as receivers by now.
        clients.iter_mut().for_each(|client| client.read_exact(&mut [0]).unwrap());
        drop(clients);
        let until = Instant::now() + Duration::from_secs(5);
        while descriptors() > before && Instant::now() < until {
            thread::yield_now();
        }
        let left = descriptors() - before;
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(left, 0, "descriptors of clients who are gone");
    });
    broker.shutdown();
}
