//! Channels for threads, over every scheme that a test can open by name.

use std::{
    io::{Read, Write},
    thread,
    time::Duration,
};

use crosstie_core::{Codec, Endpoint, Headers, Kind};
use crosstie_link::{
    ChannelOptions, Raw, Untyped,
    blocking::{Channel, ChannelListener, TrySendError},
};
use crosstie_net::{connector, listen};

type Text = Untyped<String>;

const PATIENCE: Duration = Duration::from_secs(20);

/// A place to listen for each scheme, and what keeps it.
fn places() -> (tempfile::TempDir, Vec<Endpoint>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s").display().to_string();
    let unique = format!("link-{}-{}", std::process::id(), next_number());
    let texts =
        [format!("mem:{unique}"), format!("unix:{path}"), format!("unix:@{unique}"), "tcp://127.0.0.1:0".to_owned()];
    (folder, texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn pair_with<S, R>(endpoint: &Endpoint, here: ChannelOptions, there: ChannelOptions) -> (Channel<S, R>, Channel<R, S>)
where
    S: crosstie_link::Payload + Send + 'static,
    R: crosstie_link::Payload + Send + 'static,
{
    let listener = ChannelListener::<R, S>::bind_with(endpoint, there).unwrap();
    let target = listener.endpoint().clone();
    let client = thread::spawn(move || Channel::<S, R>::connect_with(&target, here).unwrap());
    let server = listener.accept(PATIENCE).unwrap().open().unwrap();
    (client.join().unwrap(), server)
}

fn pair(endpoint: &Endpoint) -> (Channel<Text>, Channel<Text>) {
    pair_with(endpoint, ChannelOptions::default(), ChannelOptions::default())
}

fn text(text: &str) -> Text {
    Untyped(text.to_owned())
}

#[test]
fn messages_and_headers_go_both_ways_in_order() {
    let (_folder, places) = places();
    for place in &places {
        let (mut a, mut b) = pair(place);
        let mut headers = Headers::new();
        headers.append("Tie-Key", "7").unwrap();
        a.sender().send_with(&text("one"), &headers).unwrap();
        for number in 2..=1000 {
            a.sender().feed(&text(&number.to_string())).unwrap();
        }
        a.sender().flush().unwrap();
        let first = b.recv().unwrap();
        assert_eq!((first.value, first.headers.get("Tie-Key"), first.number), (text("one"), Some("7"), 1), "{place}");
        for number in 2..=1000 {
            assert_eq!(b.recv().unwrap().value, text(&number.to_string()));
        }
        b.send(&text("done")).unwrap();
        assert_eq!(a.recv().unwrap().value, text("done"));
        assert_eq!(a.codecs(), Some((Codec::Cbor, Codec::Cbor)));
        assert_eq!(b.stats().lost, 0);
    }
}

#[test]
fn finished_closed_and_lost_are_told_apart() {
    let (_folder, places) = places();
    for place in &places {
        let (a, mut b) = pair(place);
        let (sender, mut receiver) = a.split();
        sender.finish().unwrap();
        assert_eq!(b.recv().unwrap_err().kind(), Kind::Closed, "{place}");
        b.send(&text("still")).unwrap();
        assert_eq!(receiver.recv().unwrap().value, text("still"));
        b.close("enough").unwrap();
        let closed = receiver.recv().unwrap_err();
        assert_eq!((closed.kind(), closed.to_string().contains("enough")), (Kind::Closed, true), "{place}: {closed}");
        assert_eq!(receiver.recv().unwrap_err().kind(), Kind::Closed, "it stays so");

        // Dropping says goodbye, too.
        let (a, mut b) = pair(place);
        drop(a);
        assert_eq!(b.recv().unwrap_err().kind(), Kind::Closed, "{place}");

        // An end without goodbye, in the middle of a frame.
        let listener = listen(place).unwrap();
        let target = listener.endpoint().clone();
        let lost = thread::spawn(move || {
            let mut connection = connector(&target).unwrap().connect(PATIENCE).unwrap();
            let mut hello = vec![0; 8];
            connection.read_exact(&mut hello).unwrap();
            connection.write_all(&hello).unwrap();
            connection.write_all(&[200, 0, 0, 0, 1, 2, 3]).unwrap();
        });
        let connection = listener.accept(PATIENCE).unwrap();
        let error = Channel::<Text>::over(connection, ChannelOptions::default()).err().unwrap();
        assert_eq!(error.kind(), Kind::Disconnected, "{place}: {error}");
        lost.join().unwrap();
    }
}

#[test]
fn whoever_speaks_something_else_is_told_apart_from_silence() {
    let listener = listen(&"tcp://127.0.0.1:0".parse().unwrap()).unwrap();
    let target = listener.endpoint().clone();
    let client = thread::spawn(move || Channel::<Text>::connect(&target).err().unwrap());
    let mut connection = listener.accept(PATIENCE).unwrap();
    connection.write_all(b"HTTP/1.1 400 Bad Request\r\n").unwrap();
    let error = client.join().unwrap();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(error.to_string().contains("HTTP/1.1"), "{error}");

    let mut hurried = ChannelOptions::default();
    hurried.connect_timeout = Duration::from_millis(50);
    let target = listener.endpoint().clone();
    let client = thread::spawn(move || Channel::<Text>::connect_with(&target, hurried).err().unwrap());
    let silent = listener.accept(PATIENCE).unwrap();
    assert_eq!(client.join().unwrap().kind(), Kind::Timeout);
    drop(silent);
}

#[test]
fn a_codec_that_one_side_chose_is_taken_and_two_that_differ_are_refused_in_words() {
    let (_folder, places) = places();
    let chosen = |codec| {
        let mut options = ChannelOptions::default();
        options.codec = Some(codec);
        options
    };
    let (mut a, mut b) = pair_with::<Text, Text>(&places[0], chosen(Codec::Json), ChannelOptions::default());
    assert_eq!(b.codecs(), Some((Codec::Json, Codec::Json)));
    a.send(&text("x")).unwrap();
    assert_eq!(b.recv().unwrap().value, text("x"));
    let listener = ChannelListener::<Text>::bind_with(&places[1], chosen(Codec::Cbor)).unwrap();
    let target = listener.endpoint().clone();
    let client = thread::spawn(move || Channel::<Text>::connect_with(&target, chosen(Codec::Json)).err().unwrap());
    let here = listener.accept(PATIENCE).unwrap().open().err().unwrap();
    let there = client.join().unwrap();
    for error in [here, there] {
        assert_eq!(error.kind(), Kind::Rejected, "{error}");
        assert!(error.to_string().contains("json") && error.to_string().contains("cbor"), "{error}");
    }
    let wrong = Channel::<Raw>::connect(&"unix:/nowhere?codec=json".parse().unwrap()).err().unwrap();
    assert!(matches!(wrong.kind(), Kind::Unsupported | Kind::Io | Kind::NoResponders), "{wrong}");
}

#[test]
fn whoever_does_not_read_makes_the_sender_wait_and_loses_nothing() {
    let (_folder, places) = places();
    for place in &places {
        let mut hurried = ChannelOptions::default();
        (hurried.deadline, hurried.buffer) = (Some(Duration::from_millis(50)), 64 * 1024);
        let (mut a, mut b) = pair_with::<Raw, Raw>(place, hurried, ChannelOptions::default());
        let message = |number: u32| Raw([&number.to_le_bytes()[..], &[7; 1020]].concat().into());
        let mut taken = 0;
        let error = loop {
            match a.sender().feed(&message(taken)) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 100_000, "{place}: somebody keeps it all");
        };
        assert_eq!(error.kind(), Kind::Timeout, "{place}: {error}");
        // Part of what waited has gone: there is room for less than that.
        let before = taken;
        let back = loop {
            match a.sender().try_send(message(taken)) {
                Ok(()) => taken += 1,
                Err(TrySendError::Full(back)) => break back,
                Err(error) => panic!("{place}: {error}"),
            }
            assert!(taken - before <= 64, "{place}: more is kept than may wait");
        };
        assert_eq!(back, message(taken));
        let reader = thread::spawn(move || {
            for number in 0..taken {
                assert_eq!(b.recv().unwrap().value, message(number));
            }
            b
        });
        while a.sender().flush().is_err() {}
        let mut b = reader.join().unwrap();
        a.sender().try_send(message(taken)).unwrap();
        assert_eq!(b.recv().unwrap().value, message(taken));
    }
}

#[test]
fn a_wait_ends_with_its_deadline_and_the_channel_goes_on() {
    let (_folder, places) = places();
    for place in &places {
        let (mut a, mut b) = pair(place);
        assert_eq!(b.receiver().recv_within(Duration::from_millis(5)).unwrap_err().kind(), Kind::Timeout);
        assert_eq!(b.receiver().try_recv().unwrap(), None);
        a.send(&text("late")).unwrap();
        assert_eq!(b.recv().unwrap().value, text("late"), "{place}");
    }
}

#[test]
fn a_message_too_large_or_of_another_type_harms_only_itself() {
    let (_folder, places) = places();
    let mut small = ChannelOptions::default();
    small.max_frame = 1024;
    let (mut a, mut b) = pair_with::<Text, Text>(&places[1], ChannelOptions::default(), small);
    assert_eq!(a.send(&text(&"x".repeat(2000))).unwrap_err().kind(), Kind::TooLarge);
    a.send(&text("fits")).unwrap();
    assert_eq!(b.recv().unwrap().value, text("fits"));

    // Untyped sides compare no types: the first message that does not fit is told, and the next may.
    let listener = ChannelListener::<Untyped<u32>, Untyped<u32>>::bind(&places[0]).unwrap();
    let target = listener.endpoint().clone();
    let client = thread::spawn(move || Channel::<Untyped<(u32, u32)>, Untyped<u32>>::connect(&target).unwrap());
    let mut server = listener.accept(PATIENCE).unwrap().open().unwrap();
    let mut client = client.join().unwrap();
    client.send(&Untyped((1, 2))).unwrap();
    assert_eq!(server.recv().unwrap_err().kind(), Kind::Protocol);
    server.send(&Untyped(3)).unwrap();
    assert_eq!(client.recv().unwrap().value, Untyped(3));
}

#[test]
fn two_threads_use_the_two_halves_at_once() {
    const COUNT: u32 = 20_000;
    let (_folder, places) = places();
    for place in &places {
        let (a, b) =
            pair_with::<Untyped<u32>, Untyped<u32>>(place, ChannelOptions::default(), ChannelOptions::default());
        let run = |channel: Channel<Untyped<u32>>| {
            let (mut sender, mut receiver) = channel.split();
            let sending = thread::spawn(move || {
                for number in 0..COUNT {
                    sender.feed(&Untyped(number)).unwrap();
                }
                sender.finish().unwrap();
            });
            thread::spawn(move || {
                for number in 0..COUNT {
                    assert_eq!(receiver.recv().unwrap().value, Untyped(number));
                }
                assert_eq!(receiver.recv().unwrap_err().kind(), Kind::Closed);
                sending.join().unwrap();
                // Kept until the other side has read all.
                receiver
            })
        };
        let (a, b) = (run(a), run(b));
        drop((a.join().unwrap(), b.join().unwrap()));
    }
}

/// Two versions of one type, as two builds of a program have them.
mod versions {
    use crosstie_core::schema::{Body, Definitions, Field, Integer, Schema, Shape};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Old {
        pub(super) id: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct New {
        pub(super) id: u32,
        #[serde(default)]
        pub(super) note: Option<String>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Other {
        pub(super) id: String,
    }

    fn order(definitions: &mut Definitions, place: &'static str, fields: Vec<Field>) -> Shape {
        definitions.named::<()>(place, "Order", |_| Body::Struct { fields, is_strict: false })
    }

    impl Schema for Old {
        fn shape(definitions: &mut Definitions) -> Shape {
            order(definitions, "old", vec![Field::new("id", Shape::Integer(Integer::U32))])
        }
    }

    impl Schema for New {
        fn shape(definitions: &mut Definitions) -> Shape {
            let note = Field::new("note", Shape::Option(Box::new(Shape::Text)));
            order(definitions, "new", vec![Field::new("id", Shape::Integer(Integer::U32)), note])
        }
    }

    impl Schema for Other {
        fn shape(definitions: &mut Definitions) -> Shape {
            order(definitions, "other", vec![Field::new("id", Shape::Text)])
        }
    }
}

#[test]
fn equal_types_go_compactly_versions_by_name_and_others_not_at_all() {
    use versions::{New, Old, Other};
    let (_folder, places) = places();
    let none = ChannelOptions::default;
    let (mut a, mut b) = pair_with::<New, New>(&places[0], none(), none());
    assert_eq!(a.codecs(), Some((Codec::Postcard, Codec::Postcard)));
    a.send(&New { id: 1, note: Some("x".into()) }).unwrap();
    assert_eq!(b.recv().unwrap().value, New { id: 1, note: Some("x".into()) });

    // An old build sends what a new one reads, and the other way round.
    let listener = ChannelListener::<New>::bind(&places[1]).unwrap();
    let target = listener.endpoint().clone();
    let client = thread::spawn(move || Channel::<Old>::connect(&target).unwrap());
    let mut new = listener.accept(PATIENCE).unwrap().open().unwrap();
    let mut old = client.join().unwrap();
    assert_eq!(old.codecs(), Some((Codec::Cbor, Codec::Cbor)));
    old.send(&Old { id: 2 }).unwrap();
    assert_eq!(new.recv().unwrap().value, New { id: 2, note: None });
    new.send(&New { id: 3, note: Some("more".into()) }).unwrap();
    assert_eq!(old.recv().unwrap().value, Old { id: 3 });

    let target = listener.endpoint().clone();
    let client = thread::spawn(move || Channel::<Other>::connect(&target).err().unwrap());
    let here = listener.accept(PATIENCE).unwrap().open().err().unwrap();
    for error in [here, client.join().unwrap()] {
        assert_eq!(error.kind(), Kind::Rejected);
        assert!(error.to_string().contains("Order.id"), "{error}");
    }
}
