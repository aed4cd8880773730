//! The driver for blocking programs: one thread that waits for its socket and for its users.

use std::{
    io::{self, IoSlice},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use crosstie_core::Result;
use crosstie_net::{SocketTransport, connect};
use crosstie_sys::{Interest, Poller, Waker};

use super::{READ_BUFFER, ended, no_answer, unreachable};
use crate::{session::Act, shared::Shared};

const BELL: u64 = 0;
const SOCKET: u64 = 1;

/// What the thread waits for.
pub(crate) struct Bell {
    poller: Poller,
    waker: Waker,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let poller = Poller::new()?;
        let waker = Waker::new(&poller, BELL)?;
        Ok(Self { poller, waker })
    }

    pub(crate) fn ring(&self) {
        self.waker.wake();
    }
}

struct Wire {
    transport: Box<dyn SocketTransport>,
    input: BytesMut,
    buffer: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    watches_room: bool,
}

/// Runs until the session ends.
pub(crate) fn run(shared: &Shared, bell: &Arc<Bell>) {
    let connect_timeout = shared.session().options().connect_timeout;
    let mut wire: Option<Wire> = None;
    let mut events = Vec::new();
    loop {
        shared.silence();
        match shared.poll() {
            Act::End => return finish(shared, wire),
            Act::HangUp => {
                wire = None;
                shared.lost(no_answer());
            }
            Act::Dial(target) => {
                let connected = connect(&target, connect_timeout).and_then(|transport| {
                    bell.poller.add(&*transport, SOCKET, Interest::Read)?;
                    Ok(transport)
                });
                match connected {
                    Ok(transport) => {
                        let (input, buffer) = (BytesMut::new(), vec![0; READ_BUFFER]);
                        wire = Some(Wire {
                            transport,
                            input,
                            buffer,
                            output: Vec::new(),
                            written: 0,
                            watches_room: false,
                        });
                        let now = shared.now();
                        shared.session().dialed(now);
                    }
                    Err(error) => shared.lost(unreachable(&target, error)),
                }
            }
            Act::Wait(until) => {
                if let Some(Err(error)) = wire.as_mut().map(|wire| wire.write(shared, bell)) {
                    wire = None;
                    shared.lost(error);
                    continue;
                }
                let left = until.since(shared.now()).min(Duration::from_secs(3600));
                if bell.poller.wait(&mut events, Some(left)).is_err() {
                    continue;
                }
                for event in &events {
                    if event.token == BELL {
                        bell.waker.reset();
                    } else if (event.readable || event.ended)
                        && let Some(Err(error)) = wire.as_mut().map(|wire| wire.read(shared))
                    {
                        wire = None;
                        shared.lost(error);
                    }
                }
            }
        }
    }
}

impl Wire {
    fn read(&mut self, shared: &Shared) -> Result<()> {
        match self.transport.try_read(&mut self.buffer) {
            Ok(0) => Err(ended()),
            Ok(count) => {
                self.input.extend_from_slice(&self.buffer[..count]);
                shared.received(&mut self.input)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what there is, as far as the socket takes it.
    ///
    /// It ends what it had begun and takes from the session once more, then no more: a user who publishes without end must not keep the thread
    /// from reading. Whoever publishes after that has rung the bell, so that the next wait ends at once.
    fn write(&mut self, shared: &Shared, bell: &Bell) -> Result<()> {
        for _ in 0..2 {
            if self.written == self.output.len() {
                self.output.clear();
                self.written = 0;
                shared.session().take_output(&mut self.output);
            }
            while self.written < self.output.len() {
                match self.transport.try_write(&[IoSlice::new(&self.output[self.written..])]) {
                    Ok(count) => self.written += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.watch_room(bell, true),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        self.watch_room(bell, false)
    }

    fn watch_room(&mut self, bell: &Bell, on: bool) -> Result<()> {
        if self.watches_room != on {
            let interest = if on { Interest::ReadWrite } else { Interest::Read };
            bell.poller.modify(&*self.transport, SOCKET, interest)?;
            self.watches_room = on;
        }
        Ok(())
    }
}

/// Writes what is left, within a second.
fn finish(shared: &Shared, wire: Option<Wire>) {
    let Some(mut wire) = wire else { return };
    let mut more = Vec::new();
    shared.session().take_output(&mut more);
    wire.output.append(&mut more);
    let until = Instant::now() + Duration::from_secs(1);
    while wire.written < wire.output.len() && Instant::now() < until {
        match wire.transport.try_write(&[IoSlice::new(&wire.output[wire.written..])]) {
            Ok(count) => wire.written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(_) => break,
        }
    }
    wire.transport.shutdown();
}
