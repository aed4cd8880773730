//! Bounds on what all clients together make the broker keep, on the pure core: who pays when one is reached, and who never does.

mod recorded;

use std::{sync::atomic::Ordering, time::Duration};

use crosstie_broker::{
    Limits, Options,
    core::{Core, Next, Worker},
};
use crosstie_core::{Mono, Seeded, Wall};
use recorded::Client;

struct Served {
    core: Core,
    worker: Worker,
    now: Mono,
}

impl Served {
    fn new(change: impl FnOnce(&mut Limits)) -> Self {
        let mut options = Options::default();
        change(&mut options.limits);
        let core = Core::new(options, "NTEST".into(), "127.0.0.1".into(), 4222, Mono::ZERO, Wall::from_unix_nanos(0));
        let worker = core.worker(Box::new(Seeded::new(1)));
        Self { core, worker, now: Mono::ZERO + Duration::from_secs(1) }
    }

    fn after(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// A connection that has said nothing.
    fn open(&mut self) -> Client {
        Client::open(&self.core, &mut self.worker, self.now)
    }

    fn enter(&mut self) -> Client {
        Client::enter(&self.core, &mut self.worker, self.now, "")
    }

    /// What comes in answer.
    fn say(&mut self, client: &mut Client, text: &str) -> String {
        let _ = self.input(client, text);
        client.seen()
    }

    fn input(&mut self, client: &mut Client, text: &str) -> Next {
        client.input(&self.core, &mut self.worker, self.now, text)
    }

    /// What a reactor does with those whose transport has ended, until nothing is left to be cleared away.
    fn bury(&mut self, clients: &mut Vec<Client>) {
        let (gone, left) = std::mem::take(clients).into_iter().partition(Client::is_cut_off);
        *clients = left;
        for client in Vec::<Client>::into_iter(gone) {
            self.core.close(client.connection, &mut self.worker, self.now);
        }
        for _ in 0..100_000 {
            if !self.core.is_behind(&self.worker) {
                return;
            }
            self.core.go_on(&mut self.worker, self.now);
        }
        panic!("what is left of them is never cleared away");
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Twenty clients hold half of a payload for a second; then twenty newcomers send one each, in two pieces. Who of the hoarders is
/// cut off, and how much is held in the end.
fn hoarders_cut_off(limit: usize) -> (usize, u64) {
    let mut served = Served::new(|limits| limits.max_held_input_total = limit);
    let mut hoarders: Vec<_> = (0..20).map(|_| served.enter()).collect();
    let half = "x".repeat(50_000);
    for hoarder in &mut hoarders {
        let _ = served.input(hoarder, &format!("PUB a 100000\r\n{half}"));
        served.after(MS);
    }
    served.after(SECOND);
    for _ in 0..20 {
        let mut newcomer = served.enter();
        assert_eq!(served.say(&mut newcomer, &format!("SUB b 1\r\nPUB b 100000\r\n{half}")), "");
        served.after(MS);
        let seen = served.say(&mut newcomer, &format!("{half}\r\n"));
        assert!(seen.starts_with("MSG b 1 100000\r\n") && !newcomer.is_cut_off(), "the newcomer is not at fault");
    }
    (hoarders.iter().filter(|hoarder| hoarder.is_cut_off()).count(), served.core.snapshot(served.now).held_input_bytes)
}

#[test]
fn whoever_never_ends_what_it_began_makes_room_for_newcomers() {
    let (cut_off, held) = hoarders_cut_off(512 * 1024);
    assert!(cut_off >= 10 && held <= 512 * 1024, "{cut_off} cut off, {held} bytes held");
}

#[test]
fn control_without_the_bound_all_input_is_held() {
    let (cut_off, held) = hoarders_cut_off(usize::MAX);
    assert!(cut_off == 0 && held > 512 * 1024, "{cut_off} cut off, {held} bytes held");
}

/// Ten clients take nothing of what they asked for; then one that took everything so far is slow for a moment, with more waiting
/// for it than for any of them. Who of the ten is cut off, whether that one is, and how much waits in the end.
fn slow_cut_off(limit: usize) -> (usize, bool, u64) {
    let mut served = Served::new(|limits| limits.max_pending_total = limit);
    let mut stuck: Vec<_> = (0..10).map(|_| served.enter()).collect();
    let mut honest = served.enter();
    for client in &mut stuck {
        served.say(client, "SUB flood 1\r\n");
        client.wire.is_stuck.store(true, Ordering::SeqCst);
    }
    served.say(&mut honest, "SUB calm 1\r\n");
    let mut publisher = served.enter();
    let body = "x".repeat(8000);
    for _ in 0..10 {
        served.say(&mut publisher, &format!("PUB flood 8000\r\n{body}\r\n"));
    }
    served.after(SECOND);
    honest.wire.is_stuck.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        served.say(&mut publisher, &format!("PUB calm 8000\r\n{body}\r\n"));
        served.after(MS);
    }
    let cut_off = stuck.iter().filter(|client| client.is_cut_off()).count();
    let snapshot = served.core.snapshot(served.now);
    assert_eq!(snapshot.slow_consumers, cut_off as u64 + u64::from(honest.is_cut_off()));
    (cut_off, honest.is_cut_off(), snapshot.pending_bytes)
}

#[test]
fn whoever_was_stuck_the_longest_with_the_most_is_cut_off_first() {
    let (cut_off, honest, pending) = slow_cut_off(512 * 1024);
    assert!((1..10).contains(&cut_off) && !honest && pending <= 512 * 1024, "{cut_off} {honest} {pending}");
}

#[test]
fn control_without_the_bound_everything_waits_and_everybody_stays() {
    let (cut_off, honest, pending) = slow_cut_off(usize::MAX);
    assert!(cut_off == 0 && !honest && pending > 512 * 1024, "{cut_off} {honest} {pending}");
}

#[test]
fn the_copies_of_one_message_are_written_before_they_fill_the_memory() {
    let mut served = Served::new(|_| ());
    let mut greedy = served.enter();
    let subs: String = (0..1000).map(|sid| format!("SUB a {sid}\r\n")).collect();
    assert_eq!(served.say(&mut greedy, &subs), "");
    let mut publisher = served.enter();
    served.say(&mut publisher, &format!("PUB a 8000\r\n{}\r\n", "x".repeat(8000)));
    assert_eq!(greedy.seen().matches("MSG a ").count(), 1000);
    assert!(greedy.wire.largest.load(Ordering::SeqCst) < 5_000_000, "eight megabytes were piled up");
}

const LIMIT: usize = 4 * 1024 * 1024;

/// Clients subscribe to as much as they are let, one after the other; then an honest one subscribes to ten subjects. How many
/// bytes that are by the broker's count at most, whether the honest one was let, and how many bombers were cut off.
fn bombed(limit: usize, bombers: usize, each: usize) -> (u64, bool, usize) {
    let mut served = Served::new(|limits| limits.max_remembered_total = limit);
    let mut there = Vec::new();
    let (mut most, mut cut_off) = (0, 0);
    for bomber in 0..bombers {
        let mut client = served.enter();
        for sid in 0..each {
            if served.say(&mut client, &format!("SUB a.{bomber}.{sid}.b.* {sid}\r\n")).contains("-ERR") {
                break;
            }
        }
        most = most.max(served.core.snapshot(served.now).remembered_bytes);
        there.push(client);
        served.after(MS);
        let before = there.len();
        served.bury(&mut there);
        cut_off += before - there.len();
    }
    served.after(SECOND);
    let mut honest = served.enter();
    let subs: String = (0..10).map(|sid| format!("SUB honest.{sid} {sid}\r\n")).collect();
    let was_let = served.say(&mut honest, &subs).is_empty();
    assert!(!honest.is_cut_off());
    assert!(!was_let || served.say(&mut honest, "PUB honest.7 2\r\nhi\r\n") == "MSG honest.7 7 2\r\nhi\r\n");
    (most, was_let, cut_off)
}

#[test]
fn subscriptions_are_bounded_and_the_next_client_still_finds_room() {
    for bombers in [1, 3, 40] {
        let (most, was_let, cut_off) = bombed(LIMIT, bombers, 5000);
        assert!(most <= (LIMIT + LIMIT / 8) as u64 && was_let, "{bombers}: {most} bytes, {cut_off} cut off");
        assert!(bombers < 40 || cut_off > 0, "the last of many find room at the cost of the first");
    }
}

#[test]
fn control_without_the_bound_all_subscriptions_are_remembered() {
    let (most, was_let, cut_off) = bombed(usize::MAX / 2, 3, 5000);
    assert!(most > 2 * LIMIT as u64 && was_let && cut_off == 0, "{most} bytes");
}

#[test]
fn what_a_client_that_left_had_subscribed_to_is_cleared_away() {
    let mut served = Served::new(|_| ());
    let mut clients = vec![served.enter()];
    let subs: String = (0..3000).map(|sid| format!("SUB a.{sid}.b {sid}\r\n")).collect();
    served.say(&mut clients[0], &subs);
    assert_eq!(served.core.snapshot(served.now).subscriptions, 3000);
    clients[0].leave();
    served.bury(&mut clients);
    let snapshot = served.core.snapshot(served.now);
    assert_eq!((snapshot.subscriptions, snapshot.remembered_bytes), (0, 0));
}

/// How often a client is refused that subscribes to one pattern a hundred times, and to a hundred others.
fn refused_with(max: usize) -> usize {
    let mut served = Served::new(|limits| limits.max_same_subscriptions = max);
    let mut client = served.enter();
    let subs: String = (0..100).map(|sid| format!("SUB a {sid}\r\nSUB b.{sid} b{sid}\r\n")).collect();
    let refused = served.say(&mut client, &subs).matches("maximum subscriptions exceeded").count();
    // One that ends makes room for another.
    served.say(&mut client, "UNSUB 0\r\nSUB a again\r\n");
    assert!(served.say(&mut client, "PUB a 1\r\nx\r\n").contains("MSG a again"));
    refused
}

#[test]
fn the_same_pattern_over_and_over_is_refused() {
    assert_eq!(refused_with(10), 90);
}

/// There is none unless it is set, as with nats-server: a gateway that subscribes once for each of its users is no bomb.
#[test]
fn control_without_the_limit_the_same_pattern_is_taken_over_and_over() {
    assert_eq!(refused_with(Limits::default().max_same_subscriptions), 0);
}

#[test]
fn look_ups_are_remembered_within_a_few_megabytes() {
    let mut served = Served::new(|_| ());
    let mut client = served.enter();
    let most = (0..4000).map(|i| {
        served.say(&mut client, &format!("PUB {}.{i} 1\r\nx\r\n", "long".repeat(500)));
        served.core.snapshot(served.now).cache.entries
    });
    let most = most.max().unwrap();
    assert!((500..=4 * 1024 * 1024 / 2000).contains(&most), "{most} subjects of 2000 bytes");
}

#[test]
fn the_silent_make_room_for_those_who_introduce_themselves() {
    let mut served = Served::new(|limits| limits.max_connections = 4);
    let silent: Vec<_> = (0..4).map(|_| served.open()).collect();
    let honest = served.enter();
    assert!(silent[0].is_cut_off() && silent[1..].iter().all(|client| !client.is_cut_off()));
    assert!(!honest.is_cut_off());
}

#[test]
fn control_those_who_have_introduced_themselves_stay_and_the_newcomer_is_refused() {
    let mut served = Served::new(|limits| limits.max_connections = 4);
    let there: Vec<_> = (0..4).map(|_| served.enter()).collect();
    let refused = served.open();
    assert!(refused.seen().ends_with("-ERR 'maximum connections exceeded'\r\n") && refused.is_cut_off());
    assert!(there.iter().all(|client| !client.is_cut_off()));
}

#[test]
fn a_client_cannot_stuff_its_introduction() {
    let mut served = Served::new(|_| ());
    let mut client = served.open();
    let text = "é".repeat(1000);
    served.say(&mut client, &format!("CONNECT {{\"verbose\":false,\"name\":\"{text}\",\"lang\":\"{text}\"}}\r\n"));
    let shown = &served.core.connections(false, served.now, Wall::from_unix_nanos(0))[0];
    assert_eq!((shown.name.len(), shown.lang.len()), (256, 256));
}
