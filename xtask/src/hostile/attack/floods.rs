//! Attacks that give the server more to do than they cost.

use std::io;

use super::foe::{Fate, Foe, Noise, keep, rest};

/// How many connections flood at a time.
const FLOODERS: usize = 4;

/// Writes what `text` makes of each connection's number and round, over and over.
fn pour(port: u16, hello: &[u8], mut text: impl FnMut(usize, usize) -> Vec<u8>) -> io::Error {
    let mut foes: Vec<Foe> = Vec::new();
    for round in 0.. {
        keep(&mut foes, FLOODERS, |_| Foe::open(port, hello));
        let mut is_stuck = true;
        for (number, foe) in foes.iter_mut().enumerate() {
            let fate = foe.go_on();
            if fate == Fate::Done {
                foe.say(&text(number, round));
            }
            is_stuck &= fate == Fate::Stuck;
            foe.drain();
        }
        if is_stuck {
            rest();
        }
    }
    io::Error::other("there is no end")
}

/// Publishes as fast as it can, each time to another subject.
pub(crate) fn flood(port: u16) -> io::Error {
    pour(port, b"", |number, round| {
        let frame = |i: usize| format!("PUB flood.{number}.{} 64\r\n{:64}\r\n", (round * 200 + i) % 50_000, "");
        (0..200).map(frame).collect::<String>().into_bytes()
    })
}

/// Publishes to a subject that it has subscribed to as often as it is let.
pub(crate) fn fan_out(port: u16) -> io::Error {
    let subs: String = (0..2000).map(|sid| format!("SUB fan.out {sid}\r\n")).collect();
    let frames = format!("PUB fan.out 2000\r\n{}\r\n", "x".repeat(2000)).repeat(4);
    pour(port, subs.as_bytes(), move |_, _| frames.clone().into_bytes())
}

/// Announces what nobody can hold, and lines without an end.
pub(crate) fn huge_frames(port: u16) -> io::Error {
    let beginnings = [
        "PUB huge 1048577\r\n".to_owned(),
        "PUB huge 4294967295\r\n".to_owned(),
        "PUB huge 99999999999999999999999\r\n".to_owned(),
        "HPUB huge 1048570 1048576\r\n".to_owned(),
        "HPUB huge 18446744073709551615 18446744073709551615\r\n".to_owned(),
        format!("PUB {}", "a".repeat(1_000_000)),
        format!("SUB {} 1\r\n", "a.".repeat(100_000)),
        format!("CONNECT {{\"name\":\"{}", "n".repeat(1_000_000)),
    ];
    let body = "x".repeat(200_000);
    pour(port, b"", move |_, round| [beginnings[round % beginnings.len()].as_str(), &body].concat().into_bytes())
}

/// Patterns whose index has to be searched in full, and which change between any two messages, so that nothing is remembered.
pub(crate) fn wildcards(port: u16) -> io::Error {
    const DEPTH: u32 = 7;
    let pattern = |bits: u32| -> String {
        (0..DEPTH).map(|bit| if bits >> bit & 1 == 1 { "*." } else { "x." }).collect::<String>() + ">"
    };
    let subs: String = (0..1 << DEPTH).map(|bits| format!("SUB {} {bits}\r\n", pattern(bits))).collect();
    let subject = "x.".repeat(DEPTH as usize) + "y";
    let frames = format!("UNSUB 0\r\nSUB {} 0\r\nPUB {subject} 1\r\nx\r\n", pattern(0)).repeat(50);
    pour(port, subs.as_bytes(), move |_, _| frames.clone().into_bytes())
}

/// Bytes without a meaning, and operations with bytes exchanged.
pub(crate) fn garbage(port: u16) -> io::Error {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    let sound = b"PUB a.b c.d 5\r\nhello\r\nSUB a.* q 1\r\nUNSUB 1 5\r\nHPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\n";
    pour(port, b"", move |_, round| {
        let mut bytes: Vec<u8> = if round % 2 == 0 { sound.repeat(20) } else { vec![0; 2000] };
        if round % 2 == 0 {
            let at = noise.next() as usize % bytes.len();
            bytes[at] = noise.next() as u8;
        } else {
            bytes.iter_mut().for_each(|byte| *byte = noise.next() as u8);
        }
        bytes
    })
}

/// A megabyte of header lines, to one who takes no headers and one who reads nothing.
pub(crate) fn giant_headers(port: u16) -> io::Error {
    let lines: String = (0..20_000).map(|i| format!("Some-Header-{i}: with-a-value-of-its-own-{i}\r\n")).collect();
    let headers = format!("NATS/1.0\r\n{}\r\n", &lines[..lines[..1_000_000].rfind("\r\n").map_or(0, |at| at + 2)]);
    let frame = format!("HPUB giant {} {}\r\n{headers}\r\n", headers.len(), headers.len());
    let plain = Foe::silent(port).map(|mut foe| {
        foe.say(b"CONNECT {\"verbose\":false,\"headers\":false}\r\nSUB giant 1\r\n");
        foe
    });
    let reading_nothing = Foe::open(port, b"SUB giant 1\r\n");
    let error = pour(port, b"SUB giant 1\r\n", move |_, _| frame.clone().into_bytes());
    drop((plain, reading_nothing));
    error
}

/// Requests that nobody answers but the server.
pub(crate) fn unheard_requests(port: u16) -> io::Error {
    pour(port, b"SUB unheard.inbox.* 1\r\n", |number, round| {
        let frame = |i: usize| {
            format!("PUB unheard.{i} unheard.inbox.{number}.{round} 2\r\nhi\r\nPUB nobody unheard.inbox.{i} 0\r\n\r\n")
        };
        (0..100).map(frame).collect::<String>().into_bytes()
    })
}
