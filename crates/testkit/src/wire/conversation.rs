//! A case carried out on a running server, in one piece or many.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::case::{Case, Hello, Step};
use super::server::Server;
use super::transcript::{frames, without_sid};

/// How the bytes of a case reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// Each step in one write.
    Whole,
    /// The case's bytes cut once, after so many.
    CutAfter(usize),
    /// Every byte in a write of its own.
    Bytes,
}

/// No answer takes longer: a server that is silent for so long hangs.
const WATCHDOG: Duration = Duration::from_secs(8);

/// Between two pieces, so that the server reads them apart. What is compared does not depend on it.
const GAP: Duration = Duration::from_micros(150);

/// Carries out a case and gives its transcript: for each connection its name and what it received.
///
/// At the end every connection sends PING and no more; what the server owes it until then is read to the end. A PONG at the end of a
/// connection thus says that the server kept it.
///
/// # Errors
///
/// If the server cannot be reached, or says nothing for eight seconds where it owes something.
pub fn hold(case: &Case, server: &Server, pieces: Pieces, ignored_info: &BTreeSet<String>) -> io::Result<Vec<String>> {
    let mut talk = Talk { address: server.address, hello: &case.hello, lines: Vec::new(), pieces, sent: 0 };
    for step in &case.steps {
        match step {
            Step::Open(name, hello) => talk.open(*name, hello)?,
            Step::Send(name, bytes) => talk.send(*name, bytes)?,
            Step::Fence(name) => talk.line(*name)?.fence()?,
            Step::Closed(name) => talk.line(*name)?.read_to_end()?,
            Step::Signal(name) => server.signal(name)?,
        }
    }
    // The one that spoke last goes first: what it caused is on its way to the others before they ask for their end.
    let last = case.steps.iter().rev().find_map(|step| match step {
        Step::Send(name, _) => Some(*name),
        _ => None,
    });
    talk.lines.sort_by_key(|line| (Some(line.name) != last, line.name));
    for line in &mut talk.lines {
        line.finish()?;
    }
    talk.lines.sort_by_key(|line| line.name);
    Ok(talk.transcript(case, ignored_info))
}

struct Talk<'a> {
    address: SocketAddr,
    hello: &'a Hello,
    lines: Vec<Line>,
    pieces: Pieces,
    /// Bytes of the case sent so far, over all connections.
    sent: usize,
}

/// One connection.
struct Line {
    name: char,
    stream: TcpStream,
    received: Vec<u8>,
    /// How many PONGs the server owes in all.
    pings: usize,
    ended: bool,
}

impl Talk<'_> {
    fn open(&mut self, name: char, hello: &Hello) -> io::Result<()> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        let mut line = Line { name, stream, received: Vec::new(), pings: 0, ended: false };
        line.read_until(|received| received.ends_with(b"\r\n"))?;
        line.write(&hello.bytes());
        self.lines.push(line);
        Ok(())
    }

    fn line(&mut self, name: char) -> io::Result<&mut Line> {
        if !self.lines.iter().any(|line| line.name == name) {
            let hello = self.hello.clone();
            self.open(name, &hello)?;
        }
        Ok(self.lines.iter_mut().find(|line| line.name == name).expect("it was opened above"))
    }

    fn send(&mut self, name: char, bytes: &[u8]) -> io::Result<()> {
        let pieces = self.pieces;
        let before = self.sent;
        self.sent += bytes.len();
        let line = self.line(name)?;
        line.pings += pings(bytes);
        match pieces {
            Pieces::CutAfter(at) if at > before && at < before + bytes.len() => {
                let (head, tail) = bytes.split_at(at - before);
                line.write(head);
                thread::sleep(GAP);
                line.write(tail);
            }
            Pieces::Bytes => {
                for byte in bytes.chunks(1) {
                    line.write(byte);
                    thread::sleep(GAP);
                }
            }
            _ => line.write(bytes),
        }
        Ok(())
    }

    fn transcript(&self, case: &Case, ignored_info: &BTreeSet<String>) -> Vec<String> {
        let mut told = Vec::new();
        for line in &self.lines {
            let mut frames = frames(&line.received, ignored_info);
            if !case.flags.info && frames.first().is_some_and(|frame| frame.starts_with("INFO")) {
                frames.remove(0);
            }
            if !case.flags.pings {
                frames.retain(|frame| frame != "PING");
            }
            if case.flags.pooled {
                told.extend(frames.iter().map(|frame| without_sid(frame)));
                continue;
            }
            if case.flags.unordered {
                frames.sort();
            }
            told.extend(frames.into_iter().map(|frame| format!("{}| {frame}", line.name)));
        }
        if case.flags.pooled {
            told.sort();
        }
        told
    }
}

impl Line {
    /// Writes what the server still takes; that it takes no more shows in what it answered.
    fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends PING and reads until its PONG, or the end.
    fn fence(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        let wanted = self.pings + 1;
        self.write(b"PING\r\n");
        self.read_until(|received| pongs(received) >= wanted)?;
        // The fence is ours and no part of the case.
        if !self.ended
            && let Some(at) = last_pong(&self.received)
        {
            self.received.drain(at..at + PONG.len());
        }
        Ok(())
    }

    fn read_to_end(&mut self) -> io::Result<()> {
        self.read_until(|_| false)
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        self.write(b"PING\r\n");
        // Refused if the server is gone already.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.read_to_end()
    }

    fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        let end = Instant::now() + WATCHDOG;
        let mut buffer = [0; 65536];
        while !self.ended && !enough(&self.received) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let so_far = self.received.escape_ascii().to_string();
                return Err(io::Error::other(format!("{} hears nothing more after {so_far}", self.name)));
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.received.extend(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A reset is an end like any other: whether it is one depends on what was still unread.
                Err(_) => self.ended = true,
            }
        }
        Ok(())
    }
}

const PONG: &[u8] = b"PONG\r\n";

fn pongs(received: &[u8]) -> usize {
    received.windows(PONG.len()).filter(|window| *window == PONG).count()
}

fn last_pong(received: &[u8]) -> Option<usize> {
    received.windows(PONG.len()).rposition(|window| window == PONG)
}

/// How many lines of what a case sends are pings; no case sends a payload that looks like one.
fn pings(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').filter(|line| line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"PING")).count()
}
