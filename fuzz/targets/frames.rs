//! What the other end of a channel says: read in one piece or cut anywhere it comes to the same, and no limit is passed. What comes in datagrams is what was
//! sent, or refused.

#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use crosstie_core::{Codec, Headers, Mono};
use crosstie_proto::frame::{
    DATAGRAM_MAGIC, Datagram, Event, Hello, MAX_DESCRIPTION, MAX_HELLO, Options, Senders, Session, Step, Violation,
    head,
};
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::xxh3_64;

const MAX_FRAME: usize = 4096;

/// What is said, by parts that are whole more often than bytes at random would be.
#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Raw(&'a [u8]),
    Hello,
    Message { number: u8, flags: u8, body: &'a [u8] },
    Other { kind: u8, body: &'a [u8] },
}

/// A datagram: any bytes, or one whose parts are whole.
#[derive(Arbitrary, Debug)]
enum Letter<'a> {
    Raw(&'a [u8]),
    /// Any bytes behind a head that is right, with the check that they have.
    Forged {
        flags: u8,
        rest: &'a [u8],
    },
    Whole {
        codec: u8,
        number: u8,
        sender: u8,
        schema: Option<u8>,
        text: Option<&'a str>,
        header: Option<u8>,
        inflated: Option<u32>,
        payload: &'a [u8],
    },
}

fuzz_target!(|input: (bool, Vec<Part<'_>>, Vec<Letter<'_>>, Vec<u8>)| {
    let (begins_well, parts, letters, cuts) = input;
    receive(&letters);
    let mut bytes = Vec::new();
    if begins_well {
        new().take_output(&mut bytes);
    }
    for part in &parts {
        say(part, &mut bytes);
    }
    let whole = read(&bytes, std::iter::empty());
    let cut = read(&bytes, cuts.iter().map(|cut| usize::from(*cut)));
    assert_eq!(whole, cut, "cut after {cuts:?}");
});

fn new() -> Session {
    let mut hello = Hello::default();
    (hello.writes, hello.zstd, hello.max_frame) = (crosstie_core::Codec::ALL.to_vec(), true, MAX_FRAME);
    hello.reads = hello.writes.clone();
    let options = Options { hello, connect_timeout: Duration::from_secs(1), keep_alive: None };
    Session::new(options, Mono::ZERO).expect("a sound hello")
}

fn say(part: &Part<'_>, out: &mut Vec<u8>) {
    let mut frame = |kind, flags, number, body: &[u8]| {
        let _ = head::append(out, kind, flags, number, usize::MAX, |out| out.extend_from_slice(body));
    };
    match part {
        Part::Raw(bytes) => out.extend_from_slice(bytes),
        Part::Hello => {
            let mut body = Vec::new();
            Hello::default().encode(&mut body);
            frame(head::FrameKind::Hello, 0, 0, &body);
        }
        Part::Message { number, flags, body } => frame(head::FrameKind::Message, flags % 8, (*number).into(), body),
        Part::Other { kind, body } => {
            use head::FrameKind::{Finish, Goodbye, Ping, Pong, Refused};
            frame([Finish, Goodbye, Refused, Ping, Pong][usize::from(kind % 5)], 0, 1, body);
        }
    }
}

/// Everything that came of `bytes`, as text, the bytes coming in pieces of the `sizes` given and then all at once.
fn read(bytes: &[u8], sizes: impl Iterator<Item = usize>) -> Vec<String> {
    let (mut session, mut events, mut held) = (new(), Vec::new(), Vec::new());
    let mut rest = bytes;
    for size in sizes.chain([usize::MAX]) {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        held.extend_from_slice(piece);
        if let Err(violation) = drain(&mut session, &mut held, &mut events) {
            // The bytes of the preamble that are there are quoted.
            let text =
                if let Violation::Preamble(_) = violation { "no preamble".to_owned() } else { violation.to_string() };
            events.push(text);
            return events;
        }
    }
    let arrived = session.arrived();
    events.push(format!("{} lost, {} twice, {} late", arrived.lost(), arrived.duplicates(), arrived.late()));
    events
}

fn drain(session: &mut Session, held: &mut Vec<u8>, events: &mut Vec<String>) -> Result<(), Violation> {
    while !held.is_empty() {
        match session.step(held, Mono::ZERO, &|_, _| Ok(()))? {
            Step::NeedMore(total) => {
                assert!(total > held.len() && total <= MAX_FRAME.max(MAX_HELLO + head::HEAD));
                break;
            }
            Step::Took(count, event) => {
                if let Some(Event::Message(incoming)) = &event {
                    assert!(incoming.payload.len() <= MAX_FRAME && incoming.inflated.unwrap_or(0) <= MAX_FRAME);
                    // What was read can be said again.
                    assert!(incoming.headers.iter().count() <= Headers::MAX_ENTRIES);
                }
                events.extend(event.map(|event| format!("{event:?}")));
                held.drain(..count);
            }
        }
    }
    Ok(())
}

/// At most so many senders are remembered, and what is counted is what a list of all of them says.
fn receive(letters: &[Letter<'_>]) {
    let (mut senders, mut numbers) = (Senders::new(4), 0);
    for letter in letters {
        let bytes = bytes_of(letter);
        let Ok(found) = Datagram::parse(&bytes) else { continue };
        assert!(found.number > 0 && found.payload.len() <= bytes.len());
        assert!(found.description.is_none_or(|text| text.len() <= MAX_DESCRIPTION && found.schema.is_some()));
        // What was read is what it says of itself: said again it is the same.
        let mut again = Vec::new();
        found.append(&mut again).expect("it came, so it can be said");
        assert_eq!(Datagram::parse(&again).as_ref(), Ok(&found));
        senders.note(found.sender, found.number);
        numbers += 1;
        let tally = senders.tally();
        assert_eq!(tally.came + tally.duplicates + tally.late, numbers);
        assert!(senders.remembered() <= 4);
    }
}

fn bytes_of(letter: &Letter<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match letter {
        Letter::Raw(raw) => bytes.extend_from_slice(raw),
        Letter::Forged { flags, rest } => {
            bytes.extend_from_slice(&DATAGRAM_MAGIC);
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&[1, flags % 16, 1, 0]);
            bytes.extend_from_slice(rest);
            let check = xxh3_64(&bytes[8..]) as u32;
            bytes[4..8].copy_from_slice(&check.to_le_bytes());
        }
        Letter::Whole { codec, number, sender, schema, text, header, inflated, payload } => {
            let mut headers = Headers::new();
            if let Some(value) = header {
                headers.append("Name", format!("{value}")).expect("a sound header");
            }
            let whole = Datagram {
                codec: Codec::ALL[usize::from(codec % 5)],
                number: u64::from(*number) + 1,
                sender: (*sender).into(),
                schema: schema.map(|byte| [byte; 16]),
                description: text.filter(|_| schema.is_some()),
                headers,
                inflated: inflated.map(|inflated| inflated as usize),
                payload,
            };
            whole.append(&mut bytes).expect("a short one");
            assert_eq!(Datagram::parse(&bytes), Ok(whole), "what was said is what is read");
        }
    }
    bytes
}
