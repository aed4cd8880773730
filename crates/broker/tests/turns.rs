//! What a turn of one client costs others, on the pure core: what is counted, and what ends it.

mod recorded;

use std::sync::Arc;

use crosstie_broker::{
    Options,
    core::{Company, Connection, Core, Next, Worker},
};
use crosstie_core::{Mono, Seeded, Wall};
use recorded::Wire;

/// Nobody else's socket is ever ready.
struct Alone;

impl Company for Alone {
    fn is_waiting(&mut self) -> bool {
        false
    }
}

struct Served {
    core: Core,
    worker: Worker,
}

impl Served {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::default();
        change(&mut options);
        let core = Core::new(options, "N".into(), "127.0.0.1".into(), 4222, Mono::ZERO, Wall::from_unix_nanos(0));
        let mut worker = core.worker(Box::new(Seeded::new(1)));
        worker.keep(Box::new(Alone));
        Self { core, worker }
    }

    fn open(&mut self) -> (Connection, Arc<Wire>) {
        let wire = Arc::new(Wire::default());
        let link = Arc::clone(&wire);
        let mut connection = self.core.open(link, None, &mut self.worker, Mono::ZERO, Wall::from_unix_nanos(0));
        self.say(&mut connection, "CONNECT {\"verbose\":false}\r\n");
        wire.seen();
        (connection, wire)
    }

    /// All of it in one turn; how much of an effort that was.
    fn say(&mut self, connection: &mut Connection, text: &str) -> u64 {
        self.worker.allow(u64::MAX);
        let next = self.core.input(connection, &mut self.worker, text.as_bytes(), Mono::ZERO);
        assert!(matches!(next, Next::Read));
        let effort = self.worker.effort();
        self.core.flush(&mut self.worker, Mono::ZERO);
        effort
    }

    /// The effort of the turn in which a flood of messages to nobody is taken in, by one who may go on while nobody waits.
    fn flooded(&mut self, connection: &mut Connection) -> u64 {
        // The look-up must not be what ends it.
        self.say(connection, "PUB nobody 1\r\nm\r\n");
        Self::turn(self, connection, &"PUB nobody 1\r\nm\r\n".repeat(150_000))
    }

    fn turn(&mut self, connection: &mut Connection, text: &str) -> u64 {
        self.worker.allow_alone(1_000, 100_000);
        let _ = self.core.input(connection, &mut self.worker, text.as_bytes(), Mono::ZERO);
        self.worker.effort()
    }
}

fn subscribe(range: std::ops::Range<usize>) -> String {
    range.map(|number| format!("SUB unrelated.{number} {number}\r\n")).collect()
}

#[test]
fn what_it_takes_to_compare_a_look_up_with_what_has_changed_is_counted() {
    let mut served = Served::new(|_| {});
    let ((mut publisher, _), (mut other, _)) = (served.open(), served.open());
    let publish: String = (0..1000).map(|number| format!("PUB subject.{number} 1\r\nm\r\n")).collect();
    served.say(&mut publisher, &publish);
    let unchanged = served.say(&mut publisher, &publish);
    served.say(&mut other, &subscribe(0..400));
    let changed = served.say(&mut publisher, &publish);
    assert!(unchanged < 3000, "{unchanged}");
    assert!(changed > 1000 * 400 / 20, "{changed} for 400,000 comparisons of patterns");
}

#[test]
fn a_turn_goes_on_while_nobody_waits() {
    let mut served = Served::new(|_| {});
    let (mut flooder, _) = served.open();
    assert!(served.flooded(&mut flooder) > 20_000);
}

#[test]
fn a_turn_does_not_go_on_while_messages_of_earlier_turns_are_to_be_written() {
    let mut served = Served::new(|_| {});
    let mut receivers: Vec<_> = (0..100).map(|_| served.open()).collect();
    for (receiver, _) in &mut receivers {
        served.say(receiver, "SUB x 1\r\n");
    }
    let ((mut publisher, _), (mut flooder, _)) = (served.open(), served.open());
    served.flooded(&mut flooder);
    served.core.flush(&mut served.worker, Mono::ZERO);
    served.worker.allow(u64::MAX);
    let _ = served.core.input(&mut publisher, &mut served.worker, b"PUB x 1\r\nm\r\n", Mono::ZERO);
    served.core.flush_first(&mut served.worker, Mono::ZERO);
    assert!(served.core.has_backlog(&served.worker), "some of the hundred are still to be written to");
    // It has something left of its flood already.
    let effort = served.turn(&mut flooder, "");
    assert!(effort < 2_000, "{effort}: nobody of them rings");
}

#[test]
fn a_turn_does_not_go_on_while_subscriptions_of_one_who_is_gone_are_cleared_away() {
    let mut served = Served::new(|_| {});
    let ((mut gone, _), (mut flooder, _)) = (served.open(), served.open());
    served.say(&mut gone, &subscribe(0..5_000));
    served.flooded(&mut flooder);
    served.core.flush(&mut served.worker, Mono::ZERO);
    served.core.close(gone, &mut served.worker, Mono::ZERO);
    assert!(served.core.is_behind(&served.worker));
    let effort = served.turn(&mut flooder, "");
    assert!(effort < 2_000, "{effort}");
}

#[test]
fn whoever_asks_for_an_answer_where_it_subscribed_anew_is_told_that_nobody_listens() {
    let mut served = Served::new(|_| {});
    let (mut client, wire) = served.open();
    // More of them than are cleared away at once, and after the one that would hear of it.
    let before: String = (0..1_000).map(|number| format!("SUB _R.> {}\r\n", 9_000 - number)).collect();
    served.say(&mut client, &before);
    wire.seen();
    let connect = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n";
    served.say(&mut client, &format!("{connect}SUB _R.> 1\r\nPUB nobody _R.1 1\r\nm\r\n"));
    let seen = wire.seen();
    assert!(seen.starts_with("HMSG _R.1 1 ") && seen.contains("503"), "{seen:?}");
}

#[test]
fn a_message_on_its_way_is_held_to_the_limits_it_came_under() {
    let mut served = Served::new(|_| {});
    let ((mut receiver, wire), (mut publisher, _)) = (served.open(), served.open());
    let subscribe: String = (0..1_000).map(|sid| format!("SUB x {sid}\r\n")).collect();
    served.say(&mut receiver, &subscribe);
    let message = format!("PUB x 2000\r\n{}\r\n", "m".repeat(2_000));
    served.worker.allow(100);
    let next = served.core.input(&mut publisher, &mut served.worker, message.as_bytes(), Mono::ZERO);
    assert!(matches!(next, Next::Yield), "it is divided");
    let mut narrow = Options::default();
    narrow.limits.max_payload = 1_000;
    let mut other = served.core.worker(Box::new(Seeded::new(2)));
    served.core.reload(&mut other, narrow, Mono::ZERO).unwrap();
    wire.seen();
    served.worker.allow(u64::MAX);
    let mut next = served.core.input(&mut publisher, &mut served.worker, b"", Mono::ZERO);
    while matches!(next, Next::Yield | Next::Pause(_)) {
        next = served.core.input(&mut publisher, &mut served.worker, b"", Mono::ZERO);
    }
    assert!(matches!(next, Next::Read));
    served.core.flush(&mut served.worker, Mono::ZERO);
    assert!(wire.seen().contains("MSG x 999 2000\r\n"), "the last one has it, too");
    let next = served.core.input(&mut publisher, &mut served.worker, message.as_bytes(), Mono::ZERO);
    assert!(matches!(next, Next::Close), "the next is too large");
}

/// What a client on another reactor sees that ends its subscription and asks whether all has come, while a message for it is under way.
fn drained(end: &str) -> (String, usize) {
    let mut served = Served::new(|_| {});
    let (mut publisher, _) = served.open();
    let mut other = Served { worker: served.core.worker(Box::new(Seeded::new(2))), core: served.core };
    let (mut receiver, wire) = other.open();
    other.say(&mut receiver, "SUB x workers 1\r\n");
    served = Served { core: other.core, worker: served.worker };
    let _ = served.core.input(&mut publisher, &mut served.worker, b"PUB x 1\r\nm\r\n", Mono::ZERO);
    let mut next = served.core.input(&mut receiver, &mut other.worker, end.as_bytes(), Mono::ZERO);
    let mut pauses = 0;
    while let Next::Pause(_) = next {
        if pauses == 3 {
            served.core.flush(&mut served.worker, Mono::ZERO);
        }
        pauses += 1;
        next = served.core.input(&mut receiver, &mut other.worker, b"", Mono::ZERO);
    }
    assert!(matches!(next, Next::Read));
    served.core.flush(&mut other.worker, Mono::ZERO);
    served.core.flush(&mut served.worker, Mono::ZERO);
    (wire.seen(), pauses)
}

#[test]
fn nothing_comes_for_a_subscription_after_its_end_was_confirmed() {
    assert_eq!(drained("UNSUB 1\r\nPING\r\n"), ("MSG x 1 1\r\nm\r\nPONG\r\n".into(), 4));
    assert_eq!(drained("UNSUB 1\r\nPING\r\nPING\r\n"), ("MSG x 1 1\r\nm\r\nPONG\r\nPONG\r\n".into(), 4));
}

#[test]
fn control_who_has_ended_nothing_is_answered_at_once() {
    assert_eq!(drained("PING\r\n"), ("PONG\r\nMSG x 1 1\r\nm\r\n".into(), 0));
}
