//! Attacks by the number of connections.

use std::io;

use super::foe::{Fate, Foe, Noise, rest};

/// As many as a process may have, less some for itself.
const MOST: usize = 16_000;

/// Begins with a half of everything, says that no more will come, and stays.
pub(crate) fn half_open(port: u16) -> io::Error {
    let beginnings: [&[u8]; 4] =
        [b"", b"CONNECT {\"verb", b"PUB half.open 100000\r\nxxxxxxxx", b"SUB half.open 1\r\nPI"];
    many(move |number| {
        let text = beginnings[number % beginnings.len()];
        let foe = if number % 2 == 0 { Foe::open(port, text)? } else { Foe::silent(port)? };
        if number % 3 == 0 {
            foe.shut();
        }
        Ok(foe)
    })
}

/// Says nothing at all.
pub(crate) fn silent(port: u16) -> io::Error {
    many(move |_| Foe::silent(port))
}

/// Opens one after the other; where no more are to be had, the oldest is replaced.
fn many(open: impl Fn(usize) -> io::Result<Foe>) -> io::Error {
    let mut foes: Vec<Foe> = Vec::new();
    for number in 0.. {
        match open(number) {
            Ok(foe) if foes.len() < MOST => foes.push(foe),
            Ok(foe) => foes[number % MOST] = foe,
            Err(_) if foes.is_empty() => rest(),
            Err(_) => {
                let oldest = number % foes.len();
                foes.swap_remove(oldest);
            }
        }
    }
    io::Error::other("there is no end")
}

/// Begins TLS in every way and ends it in none: with nothing, a byte, a record that never comes, a first message that is announced as long as one may be
/// and comes but for its end, and noise. Some of them say another byte now and then.
pub(crate) fn half_handshakes(port: u16) -> io::Error {
    const MESSAGE: usize = 60_000;
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    // A first message of a client, in records as long as they may be.
    let mut message = vec![1, 0, (MESSAGE >> 8) as u8, MESSAGE as u8, 3, 3];
    message.resize_with(MESSAGE, || noise.next() as u8);
    let noisy = message[6..518].to_vec();
    let long: Vec<u8> = message
        .chunks(16_000)
        .flat_map(|piece| [&[22, 3, 1, (piece.len() >> 8) as u8, piece.len() as u8], piece].concat())
        .collect();
    let broken = [&[22, 3, 1, 2, 0], &noisy[..]].concat();
    let beginnings: [&[u8]; 5] = [b"", &[22], &[22, 3, 1, 0x3f, 0xff, 1, 0, 0xff, 0xff, 3, 3], &long, &broken];
    let mut foes: Vec<Foe> = Vec::new();
    for number in 0.. {
        match Foe::silent(port) {
            Ok(mut foe) => {
                foe.say(beginnings[number % beginnings.len()]);
                if foes.len() < MOST { foes.push(foe) } else { foes[number % MOST] = foe }
            }
            Err(_) if foes.is_empty() => rest(),
            Err(_) => drop(foes.swap_remove(number % foes.len())),
        }
        if !foes.is_empty() {
            let slow = number * 7 % foes.len();
            foes[slow].say(&[3]);
        }
    }
    io::Error::other("there is no end")
}

/// Comes, subscribes and goes.
pub(crate) fn storm(port: u16) -> io::Error {
    loop {
        match Foe::open(port, b"SUB storm.> 1\r\nPUB storm.x 2\r\nhi\r\n") {
            Ok(foe) => drop(foe),
            Err(_) => rest(),
        }
    }
}

/// Shows wrong passwords, each of which takes long to check, and does not wait for the answer.
pub(crate) fn passwords(port: u16) -> io::Error {
    let mut foes: Vec<Foe> = Vec::new();
    for number in 0.. {
        if foes.len() >= 2000 {
            foes.swap_remove(number % 2000);
        }
        let Ok(mut foe) = Foe::silent(port) else {
            rest();
            continue;
        };
        let text = format!("CONNECT {{\"verbose\":false,\"user\":\"ann\",\"pass\":\"wrong{number}\"}}\r\nPING\r\n");
        if foe.say(text.as_bytes()) != Fate::Dead {
            foes.push(foe);
        }
    }
    io::Error::other("there is no end")
}
