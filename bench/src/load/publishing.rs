//! The publishing side: one thread that keeps a batch going on each of its connections.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::gate::Gate;
use crate::error::{Error, Result};
use crate::wire::Batch;

/// Bytes that a publisher hands to the kernel at once.
const BATCH_BYTES: usize = 16 * 1024;
const STALLED_AFTER: Duration = Duration::from_secs(5);

struct Publisher<'a> {
    stream: &'a TcpStream,
    batch: Batch,
    written: usize,
}

/// Publishes until the gate stops it; every message begun is finished. Returns how many were sent.
///
/// Keep the connections open until all is received: closing one while something of the server's is unread (a PING, a
/// second INFO) resets it, and the server then rightly drops what it had not read.
pub(crate) fn publish(streams: &[TcpStream], payload: usize, gate: &Gate) -> Result<u64> {
    let mut publishers = Vec::new();
    for (number, stream) in streams.iter().enumerate() {
        stream.set_nonblocking(true)?;
        let number = u16::try_from(number).expect("publishers are few");
        let batch = Batch::new(number, payload, BATCH_BYTES);
        let written = batch.bytes().len();
        publishers.push(Publisher { stream, batch, written });
    }
    let mut sent = 0;
    let mut moved_at = Instant::now();
    loop {
        let mut moved = false;
        let mut blocked = false;
        for publisher in &mut publishers {
            if publisher.written == publisher.batch.bytes().len() {
                if gate.stopped() || !gate.admits(sent, publisher.batch.len()) {
                    continue;
                }
                publisher.batch.stamp();
                publisher.written = 0;
                sent += publisher.batch.len();
            }
            match publisher.stream.write(&publisher.batch.bytes()[publisher.written..]) {
                Ok(0) => return Err(Error::new("the server closed a publisher's connection")),
                Ok(count) => {
                    publisher.written += count;
                    moved = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => blocked = true,
                Err(error) => return Err(Error::new(format!("publishing: {error}"))),
            }
        }
        if gate.failed() {
            return Ok(sent);
        }
        if moved {
            moved_at = Instant::now();
            continue;
        }
        if moved_at.elapsed() > STALLED_AFTER {
            return Err(Error::new(format!(
                "no progress for {STALLED_AFTER:?}: {sent} sent, {} received by the slowest subscriber",
                gate.slowest()
            )));
        }
        if blocked {
            wait_writable(&mut publishers)?;
        } else if gate.stopped() {
            return Ok(sent);
        } else {
            gate.wait(sent);
        }
    }
}

/// Waits until a blocked connection takes bytes again; answers the server's PINGs meanwhile.
fn wait_writable(publishers: &mut [Publisher<'_>]) -> Result<()> {
    let mut waiting = Vec::with_capacity(publishers.len());
    for publisher in publishers.iter() {
        let mut flags = PollFlags::IN;
        if publisher.written < publisher.batch.bytes().len() {
            flags |= PollFlags::OUT;
        }
        waiting.push(PollFd::new(publisher.stream, flags));
    }
    poll(&mut waiting, Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 }))?;
    let readable: Vec<bool> = waiting.iter().map(|one| one.revents().contains(PollFlags::IN)).collect();
    for (publisher, _) in publishers.iter_mut().zip(readable).filter(|(_, readable)| *readable) {
        let mut bytes = [0; 4096];
        let count = publisher.stream.read(&mut bytes).unwrap_or(0);
        let text = String::from_utf8_lossy(&bytes[..count]);
        if count == 0 || text.contains("-ERR") {
            return Err(Error::new(format!("the server ended a publisher's connection: {}", text.trim())));
        }
        // An unanswered PING is harmless: a run ends long before the server calls the connection stale.
    }
    Ok(())
}
