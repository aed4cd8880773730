//! A client that goes from one twin reactor to the other and back. Alone in its program, which looks at the threads by name.

mod served;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crosstie_broker::{Broker, Options};

use self::served::serve;

const PATIENCE: Duration = Duration::from_secs(60);

/// One test at a time: they count the program's threads and descriptors.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> (Broker, u16) {
    let mut options = Options::default();
    // Nothing is due that would wake a reactor.
    (options.reactors, options.ping_interval) = (1, Duration::from_secs(3600));
    options.write_deadline = Duration::from_secs(3600);
    serve(options)
}

fn open(port: u16, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{text}PING\r\n").as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"PONG\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
    stream
}

/// How often the reactor of the busy has gone to sleep or been put aside.
fn switches_of_the_busy() -> u64 {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    let busy = threads
        .filter(|path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.starts_with("crosstie-busy")));
    busy.map(|path| {
        let status = fs::read_to_string(path.join("status")).unwrap();
        let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        counts.map(|(_, count)| count.trim().parse::<u64>().unwrap()).sum::<u64>()
    })
    .sum()
}

fn publish(stream: &mut TcpStream, numbers: std::ops::Range<u32>) {
    let text: String = numbers.map(|number| format!("PUB x 8\r\n{number:08}\r\n")).collect();
    stream.write_all(text.as_bytes()).unwrap();
}

/// The numbers that come until the last one, which is not given.
fn receive(stream: TcpStream, last: u32) {
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap()).filter(|line| !line.starts_with("MSG"));
    for expected in 0..last {
        assert_eq!(lines.next().unwrap(), format!("{expected:08}"), "a message is missing, doubled or out of order");
    }
}

#[test]
fn a_client_is_served_with_the_busy_while_it_is_busy_and_loses_nothing_on_the_way() {
    const BURST: u32 = 30_000;
    const ROUNDS: u32 = 4;
    let _alone = alone();
    let (broker, port) = start();
    let subscriber = open(port, "SUB x 1\r\n");
    let mut publisher = open(port, "CONNECT {\"verbose\":false}\r\n");
    let mut next = 0;
    for _ in 0..ROUNDS {
        next = there_and_back(&mut publisher, next..next + BURST);
    }
    receive(subscriber, next);
    broker.shutdown();
}

/// Publishes these at once and more until the busy have taken the client over, then a word now and then until it is given back. The
/// number that comes next.
fn there_and_back(publisher: &mut TcpStream, burst: std::ops::Range<u32>) -> u32 {
    let before = switches_of_the_busy();
    let mut next = burst.end;
    publish(publisher, burst);
    let until = Instant::now() + PATIENCE;
    while switches_of_the_busy() == before {
        assert!(Instant::now() < until, "a client who keeps a core busy was not taken over");
        publish(publisher, next..next + 1000);
        next += 1000;
    }
    // Until nobody is with the busy any more.
    let (mut seen, mut in_peace) = (switches_of_the_busy(), 0);
    let until = Instant::now() + PATIENCE;
    while in_peace < 25 {
        assert!(Instant::now() < until, "a client who is busy no more was not given back");
        publish(publisher, next..next + 1);
        next += 1;
        thread::park_timeout(Duration::from_millis(4));
        let now = switches_of_the_busy();
        in_peace = if now == seen { in_peace + 1 } else { 0 };
        seen = now;
    }
    next
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_reactor_whom_all_have_left_holds_no_descriptor_of_those_it_wrote_to() {
    let _alone = alone();
    let (broker, port) = start();
    let mut publisher = open(port, "");
    let before = descriptors();
    let subscribers: Vec<_> = (0..3).map(|_| open(port, "SUB x 1\r\n")).collect();
    assert_eq!(descriptors(), before + 6);
    let count = there_and_back(&mut publisher, 0..30_000);
    subscribers.into_iter().for_each(|subscriber| receive(subscriber, count));
    let until = Instant::now() + PATIENCE;
    while descriptors() > before {
        assert!(Instant::now() < until, "{} descriptors of clients who are gone", descriptors() - before);
        thread::park_timeout(Duration::from_millis(1));
    }
    drop(publisher);
    broker.shutdown();
}

#[test]
fn control_a_client_who_is_never_busy_stays_where_it_is() {
    let _alone = alone();
    let (broker, port) = start();
    let subscriber = open(port, "SUB x 1\r\n");
    let mut publisher = open(port, "");
    // Its thread has to begin.
    let (mut before, mut in_peace) = (0, 0);
    while in_peace < 10 {
        thread::park_timeout(Duration::from_millis(4));
        let now = switches_of_the_busy();
        in_peace = if now == before { in_peace + 1 } else { 0 };
        before = now;
    }
    for number in 0..100 {
        publish(&mut publisher, number..number + 1);
        thread::park_timeout(Duration::from_millis(1));
    }
    receive(subscriber, 100);
    assert_eq!(switches_of_the_busy(), before);
    broker.shutdown();
}
