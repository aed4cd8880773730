//! Attacks that make the server keep something.

use std::io;

use super::foe::{Fate, Foe, keep, rest};

/// One client asks for much and takes nothing.
pub(crate) fn slow_reader(port: u16) -> io::Error {
    readers(port, 1, 1)
}

/// Hundreds do.
pub(crate) fn slow_readers(port: u16) -> io::Error {
    readers(port, 400, 4096)
}

fn readers(port: u16, count: usize, size: usize) -> io::Error {
    let size = size.max(16_384 / count);
    let frames = format!("PUB slow.x {size}\r\n{}\r\n", "x".repeat(size)).repeat(65_536 / size);
    let (mut slow, mut writers) = (Vec::new(), Vec::new());
    loop {
        keep(&mut slow, count, |_| Foe::open(port, b"SUB slow.> 1\r\n"));
        keep(&mut writers, 1, |_| Foe::open(port, b""));
        if writers.iter_mut().all(|writer| writer.say(frames.as_bytes()) == Fate::Stuck) {
            rest();
        }
    }
}

/// Begins payloads on many connections and never ends them.
pub(crate) fn partial_frames(port: u16) -> io::Error {
    let part = format!("PUB partial 1048576\r\n{}", "x".repeat(1_000_000));
    let mut foes: Vec<Foe> = Vec::new();
    loop {
        keep(&mut foes, 500, |_| Foe::open(port, part.as_bytes()));
        for foe in &mut foes {
            foe.go_on();
        }
        rest();
    }
}

/// Subscribes to ever more.
pub(crate) fn subscriptions(port: u16) -> io::Error {
    bomb(port, |foe, number| format!("SUB bomb.{foe}.{number}.some.more.words {number}\r\n"))
}

/// Subscribes to subjects of as many tokens as a line can hold.
pub(crate) fn deep_subjects(port: u16) -> io::Error {
    bomb(port, |foe, number| format!("SUB {}{foe}.{number}.> {number}\r\n", "*.a.".repeat(400)))
}

fn bomb(port: u16, text: impl Fn(usize, usize) -> String) -> io::Error {
    let mut foes: Vec<Foe> = Vec::new();
    for number in 0.. {
        keep(&mut foes, 40, |_| Foe::open(port, b""));
        let mut is_stuck = true;
        for (index, foe) in foes.iter_mut().enumerate() {
            let texts: String = (0..20).map(|more| text(index, number * 20 + more)).collect();
            is_stuck &= foe.say(texts.as_bytes()) == Fate::Stuck;
            // Else what it is refused with would fill its own buffers.
            foe.drain();
        }
        if is_stuck {
            rest();
        }
    }
    io::Error::other("there is no end")
}
