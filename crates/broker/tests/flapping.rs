//! Clients that become busy and light again all the time, and what may happen to them in the middle of a move from one twin to the other.

mod served;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use crosstie_broker::{Broker, Options, Permissions, Secret, User};

use self::served::serve;

const PATIENCE: Duration = Duration::from_secs(60);
/// Less than the minute after which the kernel forgets a socket that was let go.
const IN_TIME: Duration = Duration::from_secs(15);
/// As many messages make a client busy.
const BURST: u32 = 12_000;

fn start(reactors: usize, change: impl FnOnce(&mut Options)) -> (Broker, u16) {
    let mut options = Options::default();
    options.reactors = reactors;
    (options.lame_duck_grace, options.lame_duck_duration) = (Duration::ZERO, Duration::ZERO);
    change(&mut options);
    serve(options)
}

struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    fn open(port: u16, text: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        let mut client = Self { stream, reader };
        client.say(&format!("CONNECT {{\"verbose\":false}}\r\n{text}"));
        client.until_pong();
        client
    }

    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.reader.read_line(&mut line).unwrap() > 0, "the connection has ended");
        line.trim_end().to_owned()
    }

    /// The next message: the id of its subscription and its payload. `None` for the answer to a `PING`.
    fn next(&mut self) -> Option<(String, String)> {
        loop {
            let line = self.line();
            if line == "PONG" {
                return None;
            }
            if line == "PING" {
                self.say("PONG\r\n");
            }
            if let Some(head) = line.strip_prefix("MSG ") {
                let sid = head.split(' ').nth(1).unwrap().to_owned();
                return Some((sid, self.line()));
            }
            assert!(!line.starts_with("-ERR"), "{line}");
        }
    }

    /// The messages that come before the answer to a `PING` that is sent now.
    fn until_pong(&mut self) -> Vec<(String, String)> {
        self.say("PING\r\n");
        std::iter::from_fn(|| self.next()).collect()
    }

    /// A word now and then, until half of what it used has been forgotten twice.
    fn rest(&mut self) -> Vec<(String, String)> {
        let until = Instant::now() + Duration::from_millis(150);
        let mut heard = Vec::new();
        while Instant::now() < until {
            heard.extend(self.until_pong());
            thread::park_timeout(Duration::from_millis(2));
        }
        heard
    }
}

fn messages(subject: &str, from: usize, numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("PUB {subject} 10\r\n{from:02}{number:08}\r\n")).collect()
}

/// Takes `count` messages of each of so many publishers, and looks whether they come in order.
fn take_all(subscriber: &mut Client, publishers: usize, count: u32) {
    let mut next = vec![0; publishers];
    for _ in 0..publishers as u32 * count {
        let (_, text) = subscriber.next().unwrap();
        let (from, number) = (text[..2].parse::<usize>().unwrap(), text[2..].parse::<u32>().unwrap());
        assert_eq!(number, next[from], "of publisher {from}: missing, doubled or out of order");
        next[from] += 1;
    }
}

fn flapping_publishers(reactors: usize, spin: Duration) {
    const PUBLISHERS: usize = 4;
    const ROUNDS: u32 = 3;
    let (broker, port) = start(reactors, |options| options.spin = spin);
    let mut subscriber = Client::open(port, "SUB x 1\r\n");
    thread::scope(|scope| {
        for from in 0..PUBLISHERS {
            scope.spawn(move || {
                let mut client = Client::open(port, "");
                for round in 0..ROUNDS {
                    client.say(&messages("x", from, round * BURST..(round + 1) * BURST));
                    client.rest();
                }
            });
        }
        take_all(&mut subscriber, PUBLISHERS, ROUNDS * BURST);
    });
    broker.shutdown();
}

#[test]
fn publishers_that_come_and_go_keep_their_order_and_nothing_is_lost() {
    flapping_publishers(1, Duration::ZERO);
    flapping_publishers(3, Duration::ZERO);
}

#[test]
fn publishers_that_come_and_go_are_served_by_reactors_that_spin() {
    flapping_publishers(1, Duration::from_micros(400));
}

#[test]
fn who_drains_in_the_middle_of_a_move_hears_nothing_afterwards_and_nothing_is_lost() {
    const ROUNDS: u32 = 8;
    let (broker, port) = start(2, |_| {});
    let is_over = AtomicBool::new(false);
    let mut steady = Client::open(port, "SUB g q 0\r\n");
    let (mut heard, sent) = thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let mut publisher = Client::open(port, "");
            let mut next = 0;
            while !is_over.load(Ordering::Relaxed) {
                publisher.say(&messages("g", 0, next..next + 20));
                next += 20;
                publisher.until_pong();
            }
            next
        });
        let mut flapper = Client::open(port, "");
        let mut heard = Vec::new();
        for round in 1..=ROUNDS {
            let noise = "PUB nobody 1\r\nm\r\n".repeat(BURST as usize * 2);
            flapper.say(&format!("SUB g q {round}\r\n{noise}UNSUB {round}\r\n"));
            heard.extend(flapper.until_pong());
            assert_eq!(flapper.rest(), [], "after the end was confirmed");
        }
        is_over.store(true, Ordering::Relaxed);
        (heard, publishing.join().unwrap())
    });
    assert!(!heard.is_empty(), "the other member had some");
    heard.extend(steady.until_pong());
    let mut counts = BTreeMap::new();
    for (_, text) in heard {
        *counts.entry(text[2..].parse::<u32>().unwrap()).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count == 1), "each goes to one member");
    assert_eq!(counts.len() as u32, sent, "each goes to a member");
    broker.shutdown();
}

#[test]
fn what_was_sent_before_the_end_of_a_stream_comes_however_busy_its_client_was() {
    const PUBLISHERS: usize = 5;
    let (broker, port) = start(1, |_| {});
    let mut subscriber = Client::open(port, "SUB x 1\r\n");
    thread::scope(|scope| {
        for from in 0..PUBLISHERS {
            scope.spawn(move || {
                let mut client = Client::open(port, "");
                client.say(&messages("x", from, 0..BURST * 2));
                client.stream.shutdown(Shutdown::Write).unwrap();
                // The broker has seen it all.
                let _ = client.reader.read_to_end(&mut Vec::new());
            });
        }
        take_all(&mut subscriber, PUBLISHERS, BURST * 2);
    });
    wait_until(|| broker.snapshot().connections == 1, "those whose streams have ended are gone");
    broker.shutdown();
}

fn wait_until(condition: impl Fn() -> bool, what: &str) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "{what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn who_takes_slowly_while_it_moves_gets_everything() {
    const MESSAGES: u32 = 3_000;
    let (broker, port) = start(1, |options| options.limits.max_pending = 64 * 1024 * 1024);
    let mut slow = Client::open(port, "SUB y 1\r\n");
    thread::scope(|scope| {
        let mut writing = slow.stream.try_clone().unwrap();
        scope.spawn(move || {
            for _ in 0..4 {
                writing.write_all("PUB nobody 1\r\nm\r\n".repeat(BURST as usize * 2).as_bytes()).unwrap();
                for _ in 0..40 {
                    writing.write_all(b"PUB nobody 1\r\nm\r\n").unwrap();
                    thread::park_timeout(Duration::from_millis(4));
                }
            }
        });
        scope.spawn(move || {
            let mut publisher = Client::open(port, "");
            for number in 0..MESSAGES {
                publisher.say(&format!("PUB y 8008\r\n{number:08}{}\r\n", "m".repeat(8_000)));
            }
            publisher.until_pong();
        });
        for expected in 0..MESSAGES {
            let (_, text) = slow.next().unwrap();
            assert_eq!(text[..8].parse::<u32>().unwrap(), expected, "missing, doubled or out of order");
            if expected % 8 == 0 {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
    });
    assert_eq!(broker.snapshot().slow_consumers, 0);
    broker.shutdown();
}

#[test]
fn who_shows_its_password_again_while_it_is_busy_goes_on_where_it_was() {
    const ROUNDS: u32 = 4;
    let password = Secret::new(bcrypt::hash("a", 4).unwrap());
    let ann = User { name: "ann".into(), password, permissions: Permissions::default() };
    let (broker, port) = start(2, |options| options.auth.users = vec![ann]);
    let enter = "CONNECT {\"verbose\":false,\"user\":\"ann\",\"pass\":\"a\"}\r\n";
    let open = |text: &str| {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client { reader: BufReader::new(stream.try_clone().unwrap()), stream };
        client.say(&format!("{enter}{text}"));
        client.until_pong();
        client
    };
    let mut subscriber = open("SUB x 1\r\n");
    thread::scope(|scope| {
        for from in 0..3 {
            let mut client = open("");
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    // In the middle of what makes it busy, several times.
                    let numbers = round * BURST..(round + 1) * BURST;
                    for piece in numbers.step_by(BURST as usize / 4) {
                        client.say(&format!("{}{enter}", messages("x", from, piece..piece + BURST / 4)));
                    }
                    client.rest();
                }
            });
        }
        take_all(&mut subscriber, 3, ROUNDS * BURST);
    });
    broker.shutdown();
}

#[test]
fn who_breaks_off_in_the_middle_of_a_move_leaves_nothing_behind() {
    let (broker, port) = start(1, |_| {});
    let mut witness = Client::open(port, "");
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                for round in 0..6 {
                    // It does not read what it is sent, so that its socket is reset.
                    let mut client = Client::open(port, "SUB x 1\r\n");
                    let text = messages("x", 0, 0..BURST / 4 * (1 + (part + round) % 6));
                    client.stream.write_all(&text.as_bytes()[..text.len() - 5]).unwrap();
                }
            });
        }
    });
    let is_clear = || {
        let snapshot = broker.snapshot();
        (snapshot.connections, snapshot.subscriptions, snapshot.pending_bytes, snapshot.held_input_bytes)
            == (1, 0, 0, 0)
    };
    wait_until(is_clear, "nothing is left of those who are gone");
    assert_eq!(witness.until_pong(), []);
    broker.shutdown();
}

/// Ends a broker in the middle of all sorts of moves: everybody sees the end, and so does who waits for it.
fn ended_by(end: impl Fn(&Broker)) {
    const ENDS: usize = 10;
    for round in 0..ENDS {
        let (broker, port) = start(1 + round % 2, |_| {});
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            for from in 0..4 {
                let tell = tell.clone();
                let mut client = Client::open(port, "");
                client.stream.set_write_timeout(Some(IN_TIME)).unwrap();
                scope.spawn(move || {
                    let text = messages("x", from, 0..BURST);
                    let _ = tell.send(());
                    // In pieces, with pauses that differ, so that some become busy as others cease to be.
                    for piece in text.as_bytes().chunks(50_000 * (from + 1)).cycle() {
                        let begun = Instant::now();
                        if let Err(error) = client.stream.write_all(piece) {
                            assert!(begun.elapsed() < IN_TIME, "nobody reads it, and it was not told");
                            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "nobody reads it");
                            return;
                        }
                        thread::park_timeout(Duration::from_millis(from as u64 * 3));
                    }
                });
            }
            for _ in 0..4 {
                told.recv_timeout(PATIENCE).unwrap();
            }
            wait_until(|| broker.snapshot().in_msgs > 20_000 + 7_000 * round as u64, "they publish");
            end(&broker);
            broker.wait();
        });
        assert_eq!(broker.snapshot().connections, 0);
    }
}

#[test]
fn a_broker_that_is_shut_down_in_the_middle_of_moves_lets_everybody_go() {
    ended_by(Broker::shutdown);
}

#[test]
fn a_broker_that_leaves_politely_in_the_middle_of_moves_lets_everybody_go() {
    ended_by(Broker::lame_duck);
}
