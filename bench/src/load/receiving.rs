//! The receiving side: one thread that drains all subscribers with epoll and counts.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::gate::Gate;
use crate::error::{Error, Result};
use crate::wire::Counter;

const BUFFER_BYTES: usize = 256 * 1024;
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

struct Subscriber {
    stream: TcpStream,
    counter: Counter,
    buffer: Vec<u8>,
    filled: usize,
}

/// Counts until `sent` tells the final number and every subscriber has it.
///
/// # Errors
/// If a message is missing, cut or out of order, the server ends a connection, or the rest is not there 10 s after the
/// last message was sent.
pub(crate) fn receive(
    streams: Vec<TcpStream>,
    publishers: usize,
    payload: usize,
    gate: &Gate,
    sent: &dyn Fn() -> Option<u64>,
) -> Result<()> {
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut subscribers = Vec::new();
    for (number, stream) in streams.into_iter().enumerate() {
        stream.set_nonblocking(true)?;
        epoll::add(&poller, &stream, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
        let counter = Counter::new(publishers, payload);
        subscribers.push(Subscriber { stream, counter, buffer: vec![0; BUFFER_BYTES], filled: 0 });
    }
    let mut events = Vec::with_capacity(subscribers.len());
    let mut drain_until = None;
    loop {
        epoll::wait(&poller, spare_capacity(&mut events), Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 }))?;
        for event in events.drain(..) {
            let number = usize::try_from(event.data.u64()).expect("subscribers are few");
            let subscriber = &mut subscribers[number];
            subscriber.read()?;
            gate.progress(number, subscriber.counter.count());
        }
        if gate.failed() {
            return Ok(());
        }
        if let Some(sent) = sent() {
            if subscribers.iter().all(|subscriber| subscriber.counter.count() == sent) {
                return Ok(());
            }
            let until = *drain_until.get_or_insert_with(|| Instant::now() + DRAIN_WITHIN);
            if Instant::now() > until {
                return Err(Error::new(format!("{sent} sent, {} received {DRAIN_WITHIN:?} later", gate.slowest())));
            }
        }
    }
}

impl Subscriber {
    /// Reads once and counts what is whole.
    fn read(&mut self) -> Result<()> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => {
                return Err(Error::new("the server closed a subscriber's connection (slow consumer?)"));
            }
            Ok(count) => self.filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(Error::new(format!("receiving: {error}"))),
        }
        let used = self.counter.take(&self.buffer[..self.filled])?;
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
        for _ in 0..self.counter.take_pings() {
            self.stream.write_all(b"PONG\r\n")?;
        }
        Ok(())
    }
}
