//! Publish to receive latency at a gentle pace: one thread sends, spins until the message is back, and waits for its slot.
//!
//! The generator never sleeps, so that only the server's own wake-ups are in the figure.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::error::{Error, Result};
use crate::process::cpu_ns;
use crate::wire::{Batch, Counter, connect, subscribe};

const LOST_AFTER: Duration = Duration::from_secs(2);

/// What one run found.
pub(crate) struct Paced {
    /// Publish to receive, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// Share of one core that the server used meanwhile: a server that spins while it waits shows here.
    pub(crate) cpu_share: Option<f64>,
}

/// Sends `count` messages of `payload` bytes, one every `every`, after a warm-up of a tenth as many.
pub(crate) fn paced(
    server: SocketAddr,
    pid: Option<u32>,
    payload: usize,
    every: Duration,
    count: u32,
) -> Result<Paced> {
    let mut subscriber = connect(server)?;
    subscribe(&mut subscriber)?;
    subscriber.set_nonblocking(true)?;
    let mut publisher = connect(server)?;
    let mut latency = Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("the bounds are sound");
    let mut batch = Batch::new(0, payload, 1);
    let mut counter = Counter::new(1, payload);
    let warm_up = count / 10;
    let mut due = Instant::now();
    let mut started = None;
    for number in 0..warm_up + count {
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        if number == warm_up {
            started = Some((Instant::now(), pid.map(cpu_ns).transpose()?));
        }
        batch.stamp();
        let sent = Instant::now();
        publisher.write_all(batch.bytes())?;
        await_message(&mut subscriber, &mut counter, u64::from(number) + 1, sent)?;
        let taken = sent.elapsed();
        if number >= warm_up {
            let nanos = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
            latency.saturating_record(nanos);
        }
        due = (due + every).max(sent + every);
    }
    let mut cpu_share = None;
    if let Some((start, Some(before))) = started {
        let used = pid.map(cpu_ns).transpose()?.unwrap_or(before) - before;
        cpu_share = Some(used as f64 / start.elapsed().as_nanos() as f64);
    }
    Ok(Paced { latency, cpu_share })
}

fn await_message(stream: &mut TcpStream, counter: &mut Counter, wanted: u64, sent: Instant) -> Result<()> {
    let mut buffer = [0; 16 * 1024];
    let mut filled = 0;
    while counter.count() < wanted {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err(Error::new("the server closed the subscriber's connection")),
            Ok(count) => {
                filled += count;
                let used = counter.take(&buffer[..filled])?;
                buffer.copy_within(used..filled, 0);
                filled -= used;
                for _ in 0..counter.take_pings() {
                    stream.write_all(b"PONG\r\n")?;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(Error::new(format!("receiving: {error}"))),
        }
        if sent.elapsed() > LOST_AFTER {
            return Err(Error::new(format!("message {wanted} did not come within {LOST_AFTER:?}")));
        }
    }
    Ok(())
}
