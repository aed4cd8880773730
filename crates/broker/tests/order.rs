//! In which order the core writes to its clients.

mod recorded;

use std::sync::Arc;

use crosstie_broker::{
    Options,
    core::{Connection, Core, Next, Worker},
};
use crosstie_core::{Mono, Seeded, Wall};
use recorded::{Journal, Wire};

struct Room {
    core: Core,
    worker: Worker,
    written: Journal,
}

impl Room {
    fn new(options: Options) -> Self {
        let wall = Wall::from_unix_nanos(0);
        let core = Core::new(options, "N".into(), "127.0.0.1".into(), 4222, Mono::ZERO, wall);
        let worker = core.worker(Box::new(Seeded::new(1)));
        Self { core, worker, written: Journal::default() }
    }

    fn open(&mut self, name: char) -> Connection {
        let link = Arc::new(Wire::noted(name, &self.written));
        let mut connection = self.core.open(link, None, &mut self.worker, Mono::ZERO, Wall::from_unix_nanos(0));
        self.said(&mut connection, "CONNECT {\"verbose\":false}\r\n");
        connection
    }

    /// What is written because `connection` says `text` in one read.
    fn said(&mut self, connection: &mut Connection, text: &str) -> Vec<(char, String)> {
        self.core.flush(&mut self.worker, Mono::ZERO);
        self.written.lock().unwrap().clear();
        self.worker.allow(u64::MAX);
        let next = self.core.input(connection, &mut self.worker, text.as_bytes(), Mono::ZERO);
        assert!(matches!(next, Next::Read));
        self.core.flush(&mut self.worker, Mono::ZERO);
        std::mem::take(&mut self.written.lock().unwrap())
    }
}

fn writes(expected: &[(char, &str)]) -> Vec<(char, String)> {
    expected.iter().map(|(name, text)| (*name, (*text).to_owned())).collect()
}

#[test]
fn a_pong_is_written_after_what_was_published_before_it() {
    let mut room = Room::new(Options::default());
    let (mut a, mut b) = (room.open('a'), room.open('b'));
    room.said(&mut b, "SUB x 1\r\n");
    let written = room.said(&mut a, "PUB x 2\r\nhi\r\nPING\r\n");
    assert_eq!(written, writes(&[('b', "MSG x 1 2\r\nhi\r\n"), ('a', "PONG\r\n")]));
}

#[test]
fn what_one_client_receives_of_one_read_is_in_order_and_in_one_write() {
    let mut room = Room::new(Options::default());
    let (mut a, mut b) = (room.open('a'), room.open('b'));
    room.said(&mut b, "SUB x 1\r\nSUB * 2\r\n");
    let written =
        room.said(&mut a, "SUB x 9\r\nPUB x 2\r\nhi\r\nPING\r\nPUB y r 3\r\nyou\r\nUNSUB 9\r\nPUB x 00\r\n\r\n");
    let to_b = "MSG x 1 2\r\nhi\r\nMSG x 2 2\r\nhi\r\nMSG y 2 r 3\r\nyou\r\nMSG x 1 0\r\n\r\nMSG x 2 0\r\n\r\n";
    assert_eq!(written, writes(&[('b', to_b), ('a', "MSG x 9 2\r\nhi\r\nPONG\r\n")]));
}

#[test]
fn headers_are_cut_off_for_those_alone_who_take_none() {
    let mut room = Room::new(Options::default());
    let (mut a, mut b, mut c) = (room.open('a'), room.open('b'), room.open('c'));
    for client in [&mut a, &mut c] {
        room.said(client, "CONNECT {\"headers\":true}\r\nSUB x 1\r\n");
    }
    room.said(&mut b, "SUB x 2\r\n");
    room.said(&mut c, "SUB x 3\r\n");
    let written = room.said(&mut a, "HPUB x r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    let whole = |sid: u8| format!("HMSG x {sid} r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    let to_c = whole(1) + &whole(3);
    assert_eq!(written, writes(&[('a', &whole(1)), ('c', &to_c), ('b', "MSG x 2 r 2\r\nhi\r\n")]));
}

#[test]
fn a_client_may_have_no_more_than_its_limit_waiting_but_is_written_to_before_that() {
    let mut options = Options::default();
    options.limits.max_pending = 1000;
    let mut room = Room::new(options);
    let (mut a, mut b) = (room.open('a'), room.open('b'));
    room.said(&mut b, "SUB x 1\r\n");
    let message = format!("PUB x 350\r\n{}\r\n", "m".repeat(350));
    let written = room.said(&mut a, &message.repeat(5));
    assert!(written.len() > 1, "five do not fit at once");
    let all: String = written.into_iter().map(|(name, text)| if name == 'b' { text } else { String::new() }).collect();
    assert_eq!(all, format!("MSG x 1 350\r\n{}\r\n", "m".repeat(350)).repeat(5));
}

#[test]
fn a_client_whose_messages_go_to_many_lets_others_have_their_turn() {
    let mut room = Room::new(Options::default());
    let (mut a, mut b) = (room.open('a'), room.open('b'));
    let subscribe: String = (0..100).map(|sid| format!("SUB x {sid}\r\n")).collect();
    room.said(&mut b, &subscribe);
    let publish: String = (1000..3000).map(|number| format!("PUB x 4\r\n{number}\r\n")).collect();
    let mut next = room.core.input(&mut a, &mut room.worker, publish.as_bytes(), Mono::ZERO);
    let (mut turns, mut now) = (1, Mono::ZERO);
    while let Next::Pause(until) = next {
        room.core.flush(&mut room.worker, now);
        now = until;
        turns += 1;
        next = room.core.input(&mut a, &mut room.worker, b"", now);
    }
    assert!(matches!(next, Next::Read));
    room.core.flush(&mut room.worker, now);
    // 200,000 deliveries of 17 to 18 bytes, 64 more for each.
    assert_eq!(turns, 2);
    let received: String = room.written.lock().unwrap().drain(..).map(|(_, text)| text).collect();
    let expected: String =
        (1000..3000).flat_map(|number| (0..100).map(move |sid| format!("MSG x {sid} 4\r\n{number}\r\n"))).collect();
    assert!(received == expected, "nothing is lost, repeated or out of order");
}

/// What `a` said is delivered in turns of 100 units of effort; `between` acts after the first of them. What everybody but `c` was
/// sent since, and in how many turns.
fn in_turns(room: &mut Room, a: &mut Connection, text: &str, between: impl FnOnce(&mut Room)) -> (String, usize) {
    let mut between = Some(between);
    room.core.flush(&mut room.worker, Mono::ZERO);
    room.written.lock().unwrap().clear();
    room.worker.allow(100);
    let mut next = room.core.input(a, &mut room.worker, text.as_bytes(), Mono::ZERO);
    let mut turns = 1;
    while let Next::Yield = next {
        room.core.flush(&mut room.worker, Mono::ZERO);
        between.take().into_iter().for_each(|between| between(room));
        room.worker.allow(100);
        next = room.core.input(a, &mut room.worker, b"", Mono::ZERO);
        turns += 1;
    }
    assert!(matches!(next, Next::Read));
    room.core.flush(&mut room.worker, Mono::ZERO);
    let written = std::mem::take(&mut *room.written.lock().unwrap());
    assert!(written.iter().all(|(name, _)| *name != 'c'), "what is for others goes to others");
    (written.into_iter().map(|(_, text)| text).collect(), turns)
}

/// A room in which `b` wants `x` a thousand times, and the queue group `q` too.
fn crowd() -> (Room, Connection, Connection) {
    let mut room = Room::new(Options::default());
    let (a, mut b) = (room.open('a'), room.open('b'));
    let subscribe: String = (0..1000).map(|sid| format!("SUB x {sid}\r\n")).collect();
    room.said(&mut b, &(subscribe + "SUB x q 1000\r\nSUB x q 1001\r\n"));
    (room, a, b)
}

/// The ids of the subscriptions that a message of one byte went to.
fn ids(received: &str) -> Vec<u32> {
    received.lines().filter_map(|line| line.strip_prefix("MSG x ")?.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn one_message_with_many_receivers_lets_others_have_their_turn() {
    let (mut room, mut a, mut b) = crowd();
    let mut heard = Vec::new();
    let (received, turns) = in_turns(&mut room, &mut a, "PUB x 1\r\nm\r\nPUB x 1\r\nn\r\nPING\r\n", |room| {
        heard = room.said(&mut b, "PING\r\n");
    });
    assert_eq!(heard, writes(&[('b', "PONG\r\n")]), "others are served meanwhile");
    assert!((20..30).contains(&turns), "{turns} turns of 100 for 2,002 deliveries");
    let (first, second) = received.split_once("n\r\n").unwrap();
    assert!(!first.contains('n') && !second.contains("\r\nm\r\n"), "the second message comes after the first");
    assert!(received.ends_with("PONG\r\n"));
    let reached = ids(&received);
    assert_eq!(&reached[reached.len() - 1001..][..1000], (0..1000).collect::<Vec<_>>());
    assert!(reached.last().is_some_and(|sid| *sid >= 1000), "one member of the group");
}

#[test]
fn control_without_a_limit_one_message_takes_one_turn() {
    let (mut room, mut a, _b) = crowd();
    let received: String = room.said(&mut a, "PUB x 1\r\nm\r\n").into_iter().map(|(_, text)| text).collect();
    assert_eq!(ids(&received)[..1000], (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_message_in_the_middle_of_its_round_heeds_who_comes_and_who_goes() {
    let (mut room, mut a, mut b) = crowd();
    let mut other = None;
    let (received, _) = in_turns(&mut room, &mut a, "PUB x 1\r\nm\r\n", |room| {
        // All look-ups are out of date now, and what was known of stages with them.
        room.said(&mut b, "UNSUB 900\r\nUNSUB 901\r\nSUB x 2000\r\n");
        let mut c = room.open('c');
        room.said(&mut c, "SUB y 1\r\nPUB y 1\r\nz\r\n");
        other = Some(c);
    });
    let reached = ids(&received);
    assert!(reached.contains(&899) && reached.contains(&902) && !reached.contains(&900) && !reached.contains(&901));
    assert!(!reached.contains(&2000), "it was published before that subscription was made");
    assert!(!received.contains('z'));
}

#[test]
fn a_message_in_the_middle_of_its_round_may_go_on_at_another_reactor() {
    let (mut room, mut a, _b) = crowd();
    let mut c = room.open('c');
    room.said(&mut c, "SUB y 1\r\n");
    // What is the stage of `b` with the one is that of `c` with the other.
    let mut other = room.core.worker(Box::new(Seeded::new(2)));
    std::mem::swap(&mut room.worker, &mut other);
    room.said(&mut c, "PUB y 1\r\nz\r\n");
    std::mem::swap(&mut room.worker, &mut other);
    let (received, turns) = in_turns(&mut room, &mut a, "PUB x 1\r\nm\r\n", |room| {
        std::mem::swap(&mut room.worker, &mut other);
    });
    assert!(turns > 3, "{turns} turns");
    assert_eq!(ids(&received)[..1000], (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_request_in_several_turns_is_told_once_that_nobody_took_it() {
    let (mut room, mut a, mut b) = crowd();
    room.said(&mut a, "CONNECT {\"headers\":true,\"no_responders\":true}\r\nSUB r 1\r\n");
    // Its own subscriptions do not hear it.
    room.said(&mut b, "CONNECT {\"echo\":false,\"headers\":true,\"no_responders\":true}\r\nSUB r 1\r\n");
    let subscribe: String = (0..500).map(|sid| format!("SUB x {}\r\n", sid + 2)).collect();
    room.said(&mut b, &subscribe);
    let (received, turns) = in_turns(&mut room, &mut b, "PUB x r 1\r\nm\r\n", |_| {});
    assert!(turns > 3, "{turns} turns");
    assert_eq!(received.matches("503").count(), 1);
}
