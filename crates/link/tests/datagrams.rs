//! Typed messages in datagrams: whole or not at all, what is lost, doubled or late is told, and who speaks another type is refused in words.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crosstie_core::{
    Codec, Endpoint, Headers, Kind,
    fault::{Fault, parse_log},
};
use crosstie_link::{
    ChannelOptions, DatagramStats, Payload, Raw, Untyped,
    blocking::{DatagramReceiver, DatagramSender, TrySendError},
};
use crosstie_macros::Schema;
use crosstie_net::{FaultLog, Faults, send_datagrams};
use crosstie_proto::frame::{DATAGRAM_HEAD, Datagram};
use serde::{Deserialize, Serialize};

const LONG: Duration = Duration::from_secs(60);
const COUNT: u64 = 2000;

/// A place to receive at for each scheme that has datagrams, and what keeps it.
fn places() -> (tempfile::TempDir, Vec<Endpoint>) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = tempfile::tempdir().unwrap();
    let unique = format!("link-datagrams-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let texts = [
        format!("mem:{unique}"),
        format!("unix:{}", folder.path().join("s").display()),
        format!("unix:@{unique}"),
        format!("shm:{unique}"),
        "udp://127.0.0.1:0".to_owned(),
    ];
    (folder, texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn pair<S: Payload, R: Payload>(place: &Endpoint) -> (DatagramSender<S>, DatagramReceiver<R>) {
    let receiver = DatagramReceiver::<R>::bind(place).unwrap();
    let sender = DatagramSender::<S>::connect(receiver.endpoint()).unwrap();
    (sender, receiver)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Schema)]
struct Order {
    id: u64,
    item: String,
}

fn order(id: u64) -> Order {
    Order { id, item: "x".repeat((id % 300) as usize) }
}

#[test]
fn messages_with_headers_arrive_over_every_scheme_with_who_sent_them() {
    let (_folder, places) = places();
    for place in &places {
        let (mut one, mut receiver) = pair::<Order, Order>(place);
        let mut other = DatagramSender::<Order>::connect(receiver.endpoint()).unwrap();
        let mut headers = Headers::new();
        headers.append("Trace", "7").unwrap();
        one.send_with(&order(1), &headers).unwrap();
        let first = receiver.recv_within(LONG).unwrap();
        assert_eq!((&first.value, first.headers.get("Trace")), (&order(1), Some("7")), "{place}");
        assert!(one.id() != other.id() && first.sender == one.id());
        let is_local = matches!(place.target().scheme(), "unix" | "shm");
        assert_eq!(first.process.map(|process| process.pid), is_local.then(std::process::id), "{place}");
        assert_eq!(first.from.is_some(), place.target().scheme() == "udp", "{place}");
        // Each counts by itself.
        other.send(&order(2)).unwrap();
        one.send(&order(3)).unwrap();
        let mut came = [receiver.recv_within(LONG).unwrap(), receiver.recv_within(LONG).unwrap()];
        came.sort_by_key(|message| message.value.id);
        assert_eq!(came.map(|message| (message.number, message.lost, message.unheard)), [(1, 0, 0), (2, 0, 0)]);
        assert_eq!(receiver.try_recv().unwrap(), None);
        assert_eq!(receiver.recv_within(Duration::from_millis(10)).unwrap_err().kind(), Kind::Timeout);
    }
}

#[tokio::test]
async fn a_task_and_a_thread_understand_each_other() {
    let (_folder, places) = places();
    for place in &places {
        let mut receiver = crosstie_link::DatagramReceiver::<Order>::bind(place).unwrap();
        let at = receiver.endpoint().clone();
        let thread = std::thread::spawn(move || {
            let mut sender = DatagramSender::<Order>::connect(&at).unwrap();
            (1..=3).for_each(|id| sender.send(&order(id)).unwrap());
            // The receiver takes what was sent before an end.
            sender
        });
        for id in 1..=3 {
            assert_eq!(receiver.recv_within(LONG).await.unwrap().value, order(id), "{place}");
        }
        drop(thread.join().unwrap());
        let late = receiver.recv_within(Duration::from_millis(10)).await.unwrap_err();
        assert_eq!((late.kind(), receiver.stats().delivered), (Kind::Timeout, 3));
    }
    let (_folder, places) = self::places();
    for place in &places {
        let mut receiver = DatagramReceiver::<Order>::bind(place).unwrap();
        let mut sender = crosstie_link::DatagramSender::<Order>::connect(receiver.endpoint()).unwrap();
        sender.send(&order(7)).await.unwrap();
        assert_eq!(receiver.recv_within(LONG).unwrap().value, order(7), "{place}");
    }
}

/// Sends all, and takes what is there after each; the numbers that came. Nothing is lost for want of room.
fn carry(
    mut sender: DatagramSender<Order>,
    receiver: &mut DatagramReceiver<Order>,
    log: Option<&FaultLog>,
) -> Vec<u64> {
    let mut came = Vec::new();
    let mut take = |receiver: &mut DatagramReceiver<Order>, wait| match receiver.recv_within(wait) {
        Ok(message) => {
            assert_eq!(message.value, order(message.number), "whole, and itself");
            let last = came.last().copied().unwrap_or(0);
            assert_eq!(
                message.lost + message.unheard,
                message.number - last - 1,
                "the gap is told with what follows it"
            );
            came.push(message.number);
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::Timeout, "{error}");
            false
        }
    };
    for id in 1..=COUNT {
        sender.send(&order(id)).unwrap();
        while take(receiver, Duration::ZERO) {}
    }
    // What is held back goes when its sender does.
    drop(sender);
    let count = |fault| log.map_or(0, |log| log.taken().iter().filter(|taken| taken.fault == fault).count() as u64);
    let expected = COUNT - count(Fault::Drop) + count(Fault::Dup);
    let until = Instant::now() + LONG;
    loop {
        let stats = receiver.stats();
        let arrived = stats.delivered + stats.duplicates + stats.late;
        if arrived == expected {
            return came;
        }
        assert!(arrived < expected && Instant::now() < until, "{arrived} of {expected} have come: {stats:?}");
        take(receiver, Duration::from_millis(1));
    }
}

/// What was told is what was done.
fn compare(log: &FaultLog, stats: DatagramStats, came: &[u64]) {
    let of = |fault| -> BTreeSet<u64> {
        log.taken().into_iter().filter(|taken| taken.fault == fault).map(|taken| taken.frame).collect()
    };
    let (drops, dups, reorders) = (of(Fault::Drop), of(Fault::Dup), of(Fault::Reorder));
    assert!(drops.len() > 50 && dups.len() > 50 && reorders.len() > 50);
    let last = (1..=COUNT).rfind(|number| !drops.contains(number)).unwrap();
    // What was overtaken is missed first.
    let missed = drops.union(&reorders).filter(|number| **number <= last).count() as u64;
    assert_eq!(stats.lost + stats.unheard, missed);
    assert_eq!((stats.late, stats.duplicates), (reorders.len() as u64, dups.len() as u64));
    assert_eq!((stats.foreign, stats.broken, stats.forgotten), (0, 0, 0));
    let expected: Vec<u64> =
        (1..=COUNT).filter(|number| !drops.contains(number) && !reorders.contains(number)).collect();
    assert_eq!(came, expected, "each by its number");
}

const THE_SEED: &str = "seed:7,drop:5%,dup:5%,reorder:5%";

/// A pair of which the sender makes faults.
fn faulty(place: &Endpoint, faults: &str) -> (DatagramSender<Order>, DatagramReceiver<Order>) {
    let receiver = DatagramReceiver::<Order>::bind(place).unwrap();
    let mut options = receiver.endpoint().options().clone();
    options.fault = Some(faults.parse().unwrap());
    let at = receiver.endpoint().clone().with_options(options).trusted().allow_faults();
    (DatagramSender::connect(&at).unwrap(), receiver)
}

#[test]
fn each_loss_and_duplicate_that_the_log_has_is_told_and_none_is_torn() {
    let (_folder, places) = places();
    let mut logs = BTreeSet::new();
    for place in &places {
        let (sender, mut receiver) = faulty(place, THE_SEED);
        let log = sender.faults().unwrap().clone();
        let came = carry(sender, &mut receiver, Some(&log));
        compare(&log, receiver.stats(), &came);
        logs.insert(log.taken().iter().map(|taken| format!("{taken}\n")).collect::<String>());
    }
    assert_eq!(logs.len(), 1, "the same over every scheme");
}

#[test]
fn control_without_faults_nothing_is_missed() {
    let (_folder, places) = places();
    for place in &places {
        let (sender, mut receiver) = pair::<Order, Order>(place);
        let came = carry(sender, &mut receiver, None);
        assert_eq!(came, (1..=COUNT).collect::<Vec<_>>());
        let mut expected = DatagramStats::default();
        expected.delivered = COUNT;
        assert_eq!(receiver.stats(), expected, "{place}");
    }
}

mod newer {
    use super::{Deserialize, Schema, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
    pub(super) struct Order {
        pub(super) id: u64,
        pub(super) item: String,
        #[serde(default)]
        pub(super) count: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
    #[serde(rename = "Order")]
    pub(super) struct Other {
        pub(super) id: String,
    }
}

#[test]
fn another_version_is_read_where_that_can_be_and_refused_with_the_difference_where_not() {
    let (_folder, places) = places();
    for place in &places {
        // The field that is new may be absent, and whoever does not know it passes over it.
        let (mut old, mut receiver) = pair::<Order, newer::Order>(place);
        old.send(&order(3)).unwrap();
        let found = receiver.recv_within(LONG).unwrap().value;
        assert_eq!(found, newer::Order { id: 3, item: "xxx".to_owned(), count: 0 }, "{place}");
        drop((old, receiver));
        let (mut new, mut receiver) = pair::<newer::Order, Order>(place);
        new.send(&newer::Order { id: 3, item: "xxx".to_owned(), count: 9 }).unwrap();
        assert_eq!(receiver.recv_within(LONG).unwrap().value, order(3), "{place}");

        // A field of another kind: in words. Others are heard as before.
        let mut stranger = DatagramSender::<newer::Other>::connect(receiver.endpoint()).unwrap();
        for _ in 0..3 {
            stranger.send(&newer::Other { id: "3".to_owned() }).unwrap();
            let refused = receiver.recv_within(LONG).unwrap_err();
            let told = refused.to_string();
            assert_eq!(refused.kind(), Kind::Rejected, "{told}");
            assert!(told.contains("Order.id: the sender writes text, the receiver reads u64"), "{told}");
            assert!(told.contains("Order.item"), "{told}");
        }
        new.send(&newer::Order { id: 1, item: "x".to_owned(), count: 9 }).unwrap();
        assert_eq!(receiver.recv_within(LONG).unwrap().value, order(1));
        assert_eq!((receiver.stats().foreign, receiver.stats().delivered), (3, 2));
    }
}

#[test]
fn a_type_that_was_not_described_yet_is_refused_by_its_hash() {
    let (_folder, places) = places();
    let receiver = &mut DatagramReceiver::<newer::Order>::bind(&places[0]).unwrap();
    let mut options = ChannelOptions::default();
    // The first message describes the type, and is lost.
    options.faults = Some(Faults::replay(parse_log("1 out 1 drop").unwrap()));
    let mut sender = DatagramSender::<Order>::connect_with(receiver.endpoint(), options).unwrap();
    sender.send(&order(1)).unwrap();
    sender.send(&order(2)).unwrap();
    let refused = receiver.recv_within(LONG).unwrap_err();
    let hash = |described: Option<crosstie_proto::frame::Described>| {
        described.unwrap().hash.map(|byte| format!("{byte:02x}")).concat()
    };
    let (written, read) = (hash(Order::described().unwrap()), hash(newer::Order::described().unwrap()));
    let told = refused.to_string();
    assert!(refused.kind() == Kind::Rejected && told.contains(&written) && told.contains(&read), "{told}");
    // As soon as it has described it again, it is read.
    let until = Instant::now() + LONG;
    let found = loop {
        assert!(Instant::now() < until);
        sender.send(&order(3)).unwrap();
        if let Ok(message) = receiver.recv_within(LONG) {
            break message;
        }
    };
    assert_eq!((found.value.id, found.value.count), (3, 0));
}

#[test]
fn a_compact_codec_takes_equal_types_and_is_refused_otherwise() {
    let (_folder, places) = places();
    let mut options = ChannelOptions::default();
    options.codec = Some(Codec::Postcard);
    let mut receiver = DatagramReceiver::<Order>::bind(&places[0]).unwrap();
    let mut same = DatagramSender::<Order>::connect_with(receiver.endpoint(), options.clone()).unwrap();
    assert_eq!(same.codec(), Codec::Postcard);
    same.send(&order(5)).unwrap();
    assert_eq!(receiver.recv_within(LONG).unwrap().value, order(5));
    let mut newer = DatagramSender::<newer::Order>::connect_with(receiver.endpoint(), options.clone()).unwrap();
    newer.send(&newer::Order { id: 5, item: String::new(), count: 0 }).unwrap();
    let told = receiver.recv_within(LONG).unwrap_err().to_string();
    assert!(told.contains("names its fields"), "{told}");
    let refused = DatagramSender::<Untyped<u32>>::connect_with(receiver.endpoint(), options).err().unwrap();
    assert_eq!(refused.kind(), Kind::Unsupported);
}

#[test]
fn what_is_too_long_is_known_before_and_refused_before_it_is_sent() {
    let (_folder, places) = places();
    for place in &places {
        let (mut sender, mut receiver) = pair::<Raw, Raw>(place);
        let most = sender.max_payload();
        let message = |len| Raw(vec![7; len].into());
        let refused = sender.send(&message(most + 1)).unwrap_err();
        assert_eq!(refused.kind(), Kind::TooLarge, "{refused}");
        assert!(matches!(sender.try_send(message(most + 1)), Err(TrySendError::Failed(..))));
        sender.send(&message(most)).unwrap();
        let came = receiver.recv_within(LONG).unwrap();
        assert_eq!((came.value, came.number), (message(most), 1), "{place}: what was refused has taken no number");
        let mut headers = Headers::new();
        headers.append("A", "b").unwrap();
        assert_eq!(sender.send_with(&message(most), &headers).unwrap_err().kind(), Kind::TooLarge);
        // A description is left out where it does not fit.
        let (mut sender, mut receiver) = {
            drop((sender, receiver));
            pair::<Order, Order>(place)
        };
        // CBOR has two names, a number and two lengths besides.
        let long = Order { id: 1, item: "x".repeat(sender.max_payload() - 30) };
        sender.send(&long).unwrap();
        assert_eq!(receiver.recv_within(LONG).unwrap().value, long, "{place}");
    }
}

#[test]
fn strays_and_damage_are_told_and_counted_and_others_come_after_them() {
    let (_folder, places) = places();
    for place in &places {
        let (mut sender, mut receiver) = pair::<Order, Order>(place);
        let bare = send_datagrams(receiver.endpoint()).unwrap();
        let whole = forged(|_| {});
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let nonsense = forged(|message| message.payload = b"\xFF\xFF");
        for (bytes, said) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "GET / HTTP/1.1"),
            (b"", "expected a datagram"),
            (&whole[..DATAGRAM_HEAD - 1], "cut short"),
            (&damaged, "changed on its way"),
            (&nonsense, "no valid cbor"),
        ] {
            bare.send(bytes, LONG).unwrap();
            let error = receiver.recv_within(LONG).unwrap_err();
            assert!(error.kind() == Kind::Protocol && error.to_string().contains(said), "{place} {said}: {error}");
        }
        sender.send(&order(1)).unwrap();
        assert_eq!(receiver.recv_within(LONG).unwrap().value, order(1));
        assert_eq!((receiver.stats().broken, receiver.stats().delivered), (5, 1));
    }
}

/// A datagram as a sender of orders would make it, but for what was changed.
fn forged<'a>(change: impl FnOnce(&mut Datagram<'a>)) -> Vec<u8> {
    let mut payload = Vec::new();
    order(1).encode(Codec::Cbor, &mut payload).unwrap();
    let mut message = Datagram {
        codec: Codec::Cbor,
        number: 1,
        sender: 99,
        schema: Order::described().unwrap().map(|described| described.hash),
        description: None,
        headers: Headers::new(),
        inflated: None,
        payload: payload.leak(),
    };
    change(&mut message);
    let mut bytes = Vec::new();
    message.append(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_description_that_is_not_that_of_its_hash_is_not_believed() {
    let (_folder, places) = places();
    let mut receiver = DatagramReceiver::<Order>::bind(&places[0]).unwrap();
    let bare = send_datagrams(receiver.endpoint()).unwrap();
    let own = Order::described().unwrap().unwrap().text;
    let lie = forged(|message| (message.schema, message.description) = (Some([1; 16]), Some(&own[..])));
    bare.send(&lie, LONG).unwrap();
    let told = receiver.recv_within(LONG).unwrap_err().to_string();
    assert!(told.contains("of another type than its hash"), "{told}");
    // The control: with its own hash the same message is taken.
    bare.send(&forged(|message| message.number = 2), LONG).unwrap();
    assert_eq!(receiver.recv_within(LONG).unwrap().value, order(1));
}

#[test]
fn no_more_senders_are_remembered_than_may_be_and_the_forgotten_are_counted() {
    let (_folder, places) = places();
    let mut options = ChannelOptions::default();
    options.senders = 2;
    let mut receiver = DatagramReceiver::<Order>::bind_with(&places[0], options).unwrap();
    let bare = send_datagrams(receiver.endpoint()).unwrap();
    for stranger in 1..=50 {
        bare.send(&forged(|message| message.sender = stranger), LONG).unwrap();
        assert_eq!(receiver.recv_within(LONG).unwrap().sender, stranger);
    }
    assert_eq!(receiver.stats().forgotten, 48);
    // Who is remembered is told from who was forgotten.
    bare.send(&forged(|message| message.sender = 50), LONG).unwrap();
    assert_eq!((receiver.try_recv().unwrap(), receiver.stats().duplicates), (None, 1));
    bare.send(&forged(|message| (message.sender, message.number) = (1, 7)), LONG).unwrap();
    assert_eq!(receiver.recv_within(LONG).unwrap().unheard, 6);
}

#[test]
fn duplicates_without_end_hold_up_no_wait() {
    let (_folder, places) = places();
    let mut receiver = DatagramReceiver::<Order>::bind(&places[0]).unwrap();
    let bare = send_datagrams(receiver.endpoint()).unwrap();
    let again = forged(|_| {});
    bare.send(&again, LONG).unwrap();
    receiver.recv_within(LONG).unwrap();
    for _ in 0..500 {
        bare.send(&again, LONG).unwrap();
    }
    assert_eq!(receiver.try_recv().unwrap(), None);
    let seen = receiver.stats().duplicates;
    assert!((1..500).contains(&seen), "{seen}");
}

#[cfg(feature = "zstd")]
#[test]
fn what_is_compressed_is_undone_within_the_bound_of_the_receiver() {
    let (_folder, places) = places();
    let mut options = ChannelOptions::default();
    (options.compress, options.max_frame) = (true, 1 << 20);
    for place in &places {
        let mut receiver = DatagramReceiver::<Raw>::bind_with(place, options.clone()).unwrap();
        let mut sender = DatagramSender::<Raw>::connect_with(receiver.endpoint(), options.clone()).unwrap();
        // Longer than a datagram, until it is compressed.
        let text = Raw(b"the same again and ".repeat(30_000).into());
        assert!(text.0.len() > sender.max_payload());
        sender.send(&text).unwrap();
        assert_eq!(receiver.recv_within(LONG).unwrap().value, text, "{place}");
        // One that says it is longer than this side takes, or is other than it says.
        let bare = send_datagrams(receiver.endpoint()).unwrap();
        let bomb = zstd::bulk::compress(&vec![0; 2 << 20], 3).unwrap();
        for (number, len, kind) in [(1, 2 << 20, Kind::TooLarge), (2, 1 << 20, Kind::Protocol)] {
            let forged = forged(|message| {
                (message.codec, message.schema, message.number) = (Codec::Raw, None, number);
                (message.inflated, message.payload) = (Some(len), &bomb);
            });
            bare.send(&forged, LONG).unwrap();
            assert_eq!(receiver.recv_within(LONG).unwrap_err().kind(), kind, "{place}");
        }
    }
}
