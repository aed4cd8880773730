//! One hostile connection: it never blocks, and reads only when it is told to.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// How long an attacker rests that cannot go on for now.
const REST: Duration = Duration::from_micros(500);

pub(super) struct Foe {
    stream: TcpStream,
    /// What is still to be written of what was begun.
    rest: Vec<u8>,
    at: usize,
}

/// What became of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// All is written.
    Done,
    /// The server takes no more for now.
    Stuck,
    /// The server has ended it.
    Dead,
}

const HELLO: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n";

impl Foe {
    /// Connects and says nothing.
    pub(super) fn silent(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        // Ports that wait for late packets would run out before the server is hurt.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, rest: Vec::new(), at: 0 })
    }

    /// Connects, introduces itself and says `text`.
    pub(super) fn open(port: u16, text: &[u8]) -> io::Result<Self> {
        let mut foe = Self::silent(port)?;
        foe.say(&[HELLO, text].concat());
        Ok(foe)
    }

    /// Writes `text` after what was left the last time, as far as it goes.
    pub(super) fn say(&mut self, text: &[u8]) -> Fate {
        match self.go_on() {
            Fate::Done => {}
            fate => return fate,
        }
        self.rest.clear();
        self.rest.extend_from_slice(text);
        self.at = 0;
        self.go_on()
    }

    /// Writes what is left.
    pub(super) fn go_on(&mut self) -> Fate {
        while self.at < self.rest.len() {
            match self.stream.write(&self.rest[self.at..]) {
                Ok(0) => return Fate::Dead,
                Ok(count) => self.at += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Fate::Stuck,
                Err(_) => return Fate::Dead,
            }
        }
        Fate::Done
    }

    /// Throws away what has come.
    pub(super) fn drain(&mut self) -> Fate {
        let mut buffer = [0; 16384];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Fate::Dead,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Fate::Stuck,
                Err(_) => return Fate::Dead,
            }
        }
    }

    /// Says that it will say no more, and stays.
    pub(super) fn shut(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    pub(super) fn is_dead(&self) -> bool {
        // A reset shows without reading what has come.
        !matches!(self.stream.take_error(), Ok(None))
    }
}

/// Rests for a moment.
pub(super) fn rest() {
    thread::sleep(REST);
}

/// Keeps `foes` at `count`: those who are dead are replaced by what `open` makes.
pub(super) fn keep(foes: &mut Vec<Foe>, count: usize, open: impl Fn(usize) -> io::Result<Foe>) {
    foes.retain(|foe| !foe.is_dead());
    while foes.len() < count {
        match open(foes.len()) {
            Ok(foe) => foes.push(foe),
            Err(_) => return rest(),
        }
    }
}

/// Numbers without a pattern, from Marsaglia's xorshift.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
