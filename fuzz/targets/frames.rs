//! What the other end of a channel says: read in one piece or cut anywhere it comes to the same, and no limit is passed.

#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use crosstie_core::{Headers, Mono};
use crosstie_proto::frame::{Event, Hello, MAX_HELLO, Options, Session, Step, Violation, head};
use libfuzzer_sys::fuzz_target;

const MAX_FRAME: usize = 4096;

/// What is said, by parts that are whole more often than bytes at random would be.
#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Raw(&'a [u8]),
    Hello,
    Message { number: u8, flags: u8, body: &'a [u8] },
    Other { kind: u8, body: &'a [u8] },
}

fuzz_target!(|input: (bool, Vec<Part<'_>>, Vec<u8>)| {
    let (begins_well, parts, cuts) = input;
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
            let text = if let Violation::Preamble(_) = violation { "no preamble".to_owned() } else { violation.to_string() };
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
