//! Just enough of the NATS client protocol to load a broker: the greeting, PUB frames, and counting MSG frames.
//!
//! Each payload starts with a stamp (publisher and sequence, 8 bytes), which the receiving side checks, so that a lost,
//! repeated, reordered or cut message is an error of the run and never a better figure.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::{Error, Result};

/// Subject of every message of a load run.
pub(crate) const SUBJECT: &str = "bench";

/// Smallest payload that holds a stamp.
pub(crate) const STAMP_LEN: usize = 8;

const STEP_TIMEOUT: Duration = Duration::from_secs(5);
const SEQUENCE_BITS: u32 = 48;

/// Connects, greets, and returns after the server's PONG; the socket blocks and has no read timeout.
pub(crate) fn connect(server: SocketAddr) -> Result<TcpStream> {
    let mut stream =
        TcpStream::connect_timeout(&server, STEP_TIMEOUT).map_err(Error::during(format!("connecting to {server}")))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STEP_TIMEOUT))?;
    let greeting = "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"bench\",\"version\":\"0\",\"protocol\":1}\r\nPING\r\n";
    expect_line(&mut stream, "INFO ")?;
    stream.write_all(greeting.as_bytes())?;
    expect_line(&mut stream, "PONG")?;
    stream.set_read_timeout(None)?;
    Ok(stream)
}

/// Subscribes to [`SUBJECT`] with sid 1 and returns once the server has taken it.
pub(crate) fn subscribe(stream: &mut TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(STEP_TIMEOUT))?;
    stream.write_all(format!("SUB {SUBJECT} 1\r\nPING\r\n").as_bytes())?;
    expect_line(stream, "PONG")?;
    stream.set_read_timeout(None)?;
    Ok(())
}

/// Reads lines, byte by byte so that nothing behind the wanted line is taken, until one starts with `wanted`.
fn expect_line(stream: &mut TcpStream, wanted: &str) -> Result<()> {
    loop {
        let mut line = Vec::with_capacity(512);
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            let read = stream.read(&mut byte).map_err(Error::during(format!("waiting for {wanted}")))?;
            if read == 0 {
                return Err(Error::new(format!("waiting for {wanted}: the server closed the connection")));
            }
            line.push(byte[0]);
            if line.len() > 64 * 1024 {
                return Err(Error::new(format!("waiting for {wanted}: a line longer than 64 KiB came")));
            }
        }
        if line.starts_with(wanted.as_bytes()) {
            return Ok(());
        }
        // A second INFO after CONNECT, or a PING, may come first; an error never may.
        if line.starts_with(b"-ERR") {
            return Err(Error::new(format!("waiting for {wanted}: {}", String::from_utf8_lossy(&line).trim())));
        }
    }
}

/// One publisher's pre-built batch of PUB frames, stamped anew before each write.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    stamps: Vec<usize>,
    publisher: u64,
    next: u64,
}

impl Batch {
    /// As many frames of `payload` bytes as fit in `limit` bytes, and at least one.
    pub(crate) fn new(publisher: u16, payload: usize, limit: usize) -> Self {
        assert!(payload >= STAMP_LEN, "a payload holds its stamp");
        let head = format!("PUB {SUBJECT} {payload}\r\n");
        let frame = head.len() + payload + 2;
        let mut bytes = Vec::with_capacity(limit.max(frame));
        let mut stamps = Vec::new();
        while stamps.is_empty() || bytes.len() + frame <= limit {
            bytes.extend_from_slice(head.as_bytes());
            stamps.push(bytes.len());
            bytes.resize(bytes.len() + payload, b'x');
            bytes.extend_from_slice(b"\r\n");
        }
        Self { bytes, stamps, publisher: u64::from(publisher), next: 0 }
    }

    /// Messages in the batch.
    pub(crate) fn len(&self) -> u64 {
        self.stamps.len() as u64
    }

    /// Gives every frame its next sequence number.
    pub(crate) fn stamp(&mut self) {
        for at in &self.stamps {
            let stamp = self.publisher << SEQUENCE_BITS | self.next;
            self.bytes[*at..*at + STAMP_LEN].copy_from_slice(&stamp.to_le_bytes());
            self.next += 1;
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts and checks the MSG frames of one subscriber; skips payloads but for the stamp.
pub(crate) struct Counter {
    head: Vec<u8>,
    frame: usize,
    next: Vec<u64>,
    count: u64,
    pings: u32,
}

impl Counter {
    /// Expects messages of `payload` bytes from publishers numbered below `publishers`.
    pub(crate) fn new(publishers: usize, payload: usize) -> Self {
        let head = format!("MSG {SUBJECT} 1 {payload}\r\n").into_bytes();
        let frame = head.len() + payload + 2;
        Self { head, frame, next: vec![0; publishers], count: 0, pings: 0 }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// PINGs seen since the last call: each wants a PONG.
    pub(crate) fn take_pings(&mut self) -> u32 {
        std::mem::take(&mut self.pings)
    }

    /// Takes whole frames off the front of `bytes` and returns how many bytes they were; call again with the rest and
    /// more behind it.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            if rest.starts_with(&self.head) {
                if rest.len() < self.frame {
                    return Ok(at);
                }
                self.check(&rest[self.head.len()..self.frame])?;
                at += self.frame;
                continue;
            }
            let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else {
                return Ok(at);
            };
            match &rest[..line] {
                b"PING" => self.pings += 1,
                b"PONG" | b"+OK" => {}
                other if other.starts_with(b"INFO ") => {}
                other => {
                    let shown = String::from_utf8_lossy(&other[..other.len().min(80)]).into_owned();
                    return Err(Error::new(format!("a subscriber expected a message and got: {shown}")));
                }
            }
            at += line + 2;
        }
    }

    fn check(&mut self, body: &[u8]) -> Result<()> {
        let (stamp, rest) = body.split_first_chunk::<STAMP_LEN>().expect("a payload holds its stamp");
        let stamp = u64::from_le_bytes(*stamp);
        let publisher = (stamp >> SEQUENCE_BITS) as usize;
        let sequence = stamp & ((1 << SEQUENCE_BITS) - 1);
        let expected = self.next.get_mut(publisher).ok_or_else(|| Error::new("a payload arrived damaged"))?;
        if sequence != *expected || !rest.ends_with(b"\r\n") {
            return Err(Error::new(format!(
                "publisher {publisher}: expected message {expected}, got {sequence}: lost, repeated or cut"
            )));
        }
        *expected += 1;
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(batch: &Batch, payload: usize) -> Vec<u8> {
        let text = batch.bytes().to_vec();
        let frame = text.len() / batch.len() as usize;
        let mut out = Vec::new();
        for frame in text.chunks(frame) {
            out.extend_from_slice(format!("MSG {SUBJECT} 1 {payload}\r\n").as_bytes());
            out.extend_from_slice(&frame[frame.len() - payload - 2..]);
        }
        out
    }

    #[test]
    fn every_message_is_counted_however_the_bytes_are_cut() {
        let mut batch = Batch::new(0, 16, 400);
        batch.stamp();
        let mut stream = b"PING\r\n".to_vec();
        stream.extend(delivered(&batch, 16));
        for step in [1, 7, stream.len()] {
            let mut counter = Counter::new(1, 16);
            let mut kept = Vec::new();
            for piece in stream.chunks(step) {
                kept.extend_from_slice(piece);
                let used = counter.take(&kept).unwrap();
                kept.drain(..used);
            }
            assert_eq!((counter.count(), counter.take_pings(), kept.len()), (batch.len(), 1, 0));
        }
    }

    #[test]
    fn a_missing_message_is_an_error() {
        let mut batch = Batch::new(0, 16, 400);
        batch.stamp();
        let mut stream = delivered(&batch, 16);
        let frame = stream.len() / batch.len() as usize;
        stream.drain(frame..2 * frame);
        assert!(Counter::new(1, 16).take(&stream).is_err());
    }

    #[test]
    fn an_error_of_the_server_is_an_error() {
        assert!(Counter::new(1, 16).take(b"-ERR 'Slow Consumer'\r\n").is_err());
    }
}
