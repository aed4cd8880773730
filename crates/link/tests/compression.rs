//! Channels whose messages are compressed, and what endpoints say of channels.

use std::{
    io::{Read, Write},
    thread,
    time::Duration,
};

use bytes::Bytes;
use crosstie_core::{Codec, Endpoint, Headers, Kind, Mono};
use crosstie_link::{
    ChannelOptions, Raw,
    blocking::{Channel, ChannelListener},
};
use crosstie_net::{Connection, connector};
use crosstie_proto::frame::{Event, Hello, Options, Session, Step};

const LONG: Duration = Duration::from_secs(60);

fn place(options: &str) -> Endpoint {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("unix:@compression-{}-{number}{options}", std::process::id()).parse().unwrap()
}

fn words() -> Raw {
    Raw(Bytes::from(b"the same words again, ".repeat(1000)))
}

/// The other end, by hand: it sees frames as they come.
struct ByHand {
    connection: Connection,
    session: Session,
    input: Vec<u8>,
}

impl ByHand {
    fn connect(at: &Endpoint, zstd: bool) -> Self {
        let connection = connector(at).unwrap().connect(LONG).unwrap();
        let mut hello = Hello::default();
        (hello.writes, hello.reads, hello.zstd) = (vec![Codec::Raw], vec![Codec::Raw], zstd);
        let options = Options { hello, connect_timeout: LONG, keep_alive: None };
        Self { connection, session: Session::new(options, Mono::ZERO).unwrap(), input: Vec::new() }
    }

    fn flush(&mut self) {
        let mut out = Vec::new();
        self.session.take_output(&mut out);
        self.connection.write_all(&out).unwrap();
    }

    /// Sends a frame as if it had been compressed from so many bytes.
    fn send(&mut self, packed: &[u8], inflated: Option<u32>) {
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(packed);
            Ok(())
        };
        self.session.send(&Headers::new(), inflated, write).unwrap();
        self.flush();
    }

    /// The next event: what came of a message on the wire, and its length before; or the text of an end.
    fn next(&mut self) -> (String, Option<usize>, usize) {
        self.flush();
        loop {
            match self.session.step(&self.input, Mono::ZERO, &|_, _| Ok(())).unwrap() {
                Step::NeedMore(_) => {
                    let mut buf = [0; 4096];
                    let count = self.connection.read(&mut buf).unwrap();
                    assert!(count > 0, "the other side has left without a word");
                    self.input.extend_from_slice(&buf[..count]);
                }
                Step::Took(count, event) => {
                    let told = event.map(|event| match event {
                        Event::Message(message) => ("message".to_owned(), message.inflated, message.payload.len()),
                        Event::Opened(_) => ("opened".to_owned(), None, 0),
                        Event::Closed { why, .. } => (why.to_owned(), None, 0),
                        other => (format!("{other:?}"), None, 0),
                    });
                    self.input.drain(..count);
                    if let Some(told) = told {
                        return told;
                    }
                }
            }
        }
    }
}

/// A channel whose other end is made by hand.
fn with(options: &str, zstd: bool) -> (crosstie_core::Result<Channel<Raw>>, ByHand) {
    let listener = ChannelListener::<Raw>::bind(&place(options)).unwrap();
    let at = listener.endpoint().clone();
    let opening = thread::spawn(move || listener.accept(LONG).unwrap().open());
    let mut by_hand = ByHand::connect(&at, zstd);
    assert_eq!(by_hand.next().0, "opened");
    (opening.join().unwrap(), by_hand)
}

#[test]
fn what_is_long_goes_compressed_and_what_is_short_as_it_is() {
    let (channel, mut by_hand) = with("?compress=zstd", true);
    let mut channel = channel.unwrap();
    let words = words();
    channel.send(&words).unwrap();
    let (_, inflated, on_the_way) = by_hand.next();
    assert_eq!(inflated, Some(words.0.len()));
    assert!(on_the_way < words.0.len() / 20, "{on_the_way} bytes went");
    channel.send(&Raw(Bytes::from_static(b"short"))).unwrap();
    assert_eq!(by_hand.next(), ("message".to_owned(), None, 5));
    // The control: nobody asked, nobody compresses.
    let (channel, mut by_hand) = with("", true);
    channel.unwrap().send(&words).unwrap();
    assert_eq!(by_hand.next(), ("message".to_owned(), None, words.0.len()));
}

#[test]
fn each_side_decides_for_what_it_sends_and_both_understand_it() {
    for (here, there) in [("?compress=zstd", ""), ("", "?compress=zstd"), ("?compress=zstd", "?compress=zstd")] {
        let at = place(there);
        let listener = ChannelListener::<Raw>::bind(&at).unwrap();
        let serving = thread::spawn(move || {
            let mut channel = listener.accept(LONG).unwrap().open().unwrap();
            for _ in 0..100 {
                let message = channel.recv().unwrap().value;
                channel.send(&message).unwrap();
            }
        });
        let at = format!("{}{here}", at.to_string().split('?').next().unwrap()).parse().unwrap();
        let mut channel = Channel::<Raw>::connect(&at).unwrap();
        for len in 0..100 {
            let message = Raw(words().0.slice(..len * len));
            channel.send(&message).unwrap();
            assert_eq!(channel.recv().unwrap().value, message);
        }
        serving.join().unwrap();
    }
}

#[test]
fn a_side_that_undoes_no_compression_is_told_so_at_connect() {
    let (refused, mut by_hand) = with("?compress=zstd", false);
    let error = refused.err().unwrap();
    assert_eq!(error.kind(), Kind::Rejected, "{error}");
    assert!(by_hand.next().0.contains("undoes no compression"), "the other side hears it too");
    // The control: without the wish there is a channel.
    assert!(with("", false).0.is_ok());
}

#[test]
fn a_bomb_is_refused_before_there_is_memory_for_it() {
    let bomb = zstd::bulk::compress(&vec![0; 32 << 20], 3).unwrap();
    // It says how long it is: more than the 16 MiB that a message may have.
    let (channel, mut by_hand) = with("", true);
    let mut channel = channel.unwrap();
    by_hand.send(&bomb, Some(32 << 20));
    let error = channel.recv().unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
    // It does not: no more is undone than it says, and only that message is lost.
    let (channel, mut by_hand) = with("", true);
    let mut channel = channel.unwrap();
    by_hand.send(&bomb, Some(1000));
    let error = channel.recv().unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol, "{error}");
    // The control: one that is what it says is taken.
    by_hand.send(&zstd::bulk::compress(&[7; 1000], 3).unwrap(), Some(1000));
    assert_eq!(channel.recv().unwrap().value.0[..], [7; 1000]);
}

#[test]
fn a_message_that_the_other_side_would_not_undo_is_not_sent() {
    let mut small = ChannelOptions::default();
    small.max_frame = 100_000;
    let listener = ChannelListener::<Raw>::bind_with(&place(""), small).unwrap();
    let at: Endpoint = format!("{}?compress=zstd", listener.endpoint()).parse().unwrap();
    let serving = thread::spawn(move || {
        let mut channel = listener.accept(LONG).unwrap().open().unwrap();
        channel.recv().unwrap().value.0.len()
    });
    let mut channel = Channel::<Raw>::connect(&at).unwrap();
    let error = channel.send(&Raw(Bytes::from(vec![0; 100_001]))).unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge, "{error}");
    // The control: the longest goes, and the channel was not hurt.
    channel.send(&Raw(Bytes::from(vec![0; 100_000]))).unwrap();
    assert_eq!(serving.join().unwrap(), 100_000);
}

#[test]
fn what_an_endpoint_says_holds_for_its_channels_over_what_the_program_says() {
    use crosstie_link::Untyped;
    let mut program = ChannelOptions::default();
    (program.codec, program.deadline) = (Some(Codec::Cbor), Some(LONG));
    let listener = ChannelListener::<Untyped<u8>>::bind_with(&place("?codec=json"), program.clone()).unwrap();
    let plain = listener.endpoint().to_string();
    let plain = plain.split('?').next().unwrap().to_owned();
    // Kept until the others are done with them.
    let accepting = thread::spawn(move || (0..2).map(|_| listener.accept(LONG).unwrap().open()).collect::<Vec<_>>());
    let connect = |query: &str| {
        let at: Endpoint = format!("{plain}{query}").parse().unwrap();
        Channel::<Untyped<u8>>::connect_with(&at, program.clone())
    };
    let mut channel = connect("?codec=json&deadline=40ms&window=3").unwrap();
    assert_eq!(channel.codecs(), Some((Codec::Json, Codec::Json)));
    let error = channel.recv().unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "the endpoint's deadline, not the program's: {error}");
    // The control: what the endpoint does not say the program says, and the two codecs do not fit.
    assert_eq!(connect("").err().unwrap().kind(), Kind::Rejected);
    assert_eq!(connect("?window=0").err().unwrap().kind(), Kind::InvalidInput);
    drop(accepting.join().unwrap());
}
