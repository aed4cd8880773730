//! The driver for blocking programs: one thread that waits for its socket and for its users.

use std::{
    io::{self, IoSlice},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use crosstie_core::{Mono, Result, Target};
use crosstie_net::{Dial, SocketTransport};
#[cfg(feature = "tls")]
use crosstie_net::{Handshake, TlsTransport};
use crosstie_sys::{Interest, Poller, Waker};

use super::{READ_BUFFER, ended, no_answer, told, unreachable};
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
    transport: Carrier,
    /// The handshake is not done.
    securing: bool,
    input: BytesMut,
    buffer: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    watches_room: bool,
}

/// What carries the bytes.
enum Carrier {
    Plain(Box<dyn SocketTransport>),
    #[cfg(feature = "tls")]
    Tls(Box<TlsTransport>),
    /// Between the two.
    Gone,
}

impl Carrier {
    fn get(&self) -> io::Result<&dyn SocketTransport> {
        match self {
            Self::Plain(transport) => Ok(&**transport),
            #[cfg(feature = "tls")]
            Self::Tls(transport) => Ok(&**transport),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// A connection that is being made.
struct Dialing {
    target: Target,
    dial: Dial,
    until: Mono,
}

impl Dialing {
    fn begin(shared: &Shared, bell: &Arc<Bell>, target: Target) -> Result<Self> {
        let ring = Arc::clone(bell);
        let until = shared.now() + shared.session().options().connect_timeout;
        match Dial::begin(&target, move || ring.ring()) {
            Ok(dial) => Ok(Self { target, dial, until }),
            Err(error) => Err(unreachable(&target, error)),
        }
    }

    /// Goes on as far as it can; a connection once it is there.
    fn advance(&mut self, shared: &Shared, bell: &Bell) -> Result<Option<Wire>> {
        let advanced = self.dial.advance(&bell.poller, SOCKET).and_then(|transport| {
            let Some(transport) = transport else { return Ok(None) };
            bell.poller.modify(&*transport, SOCKET, Interest::Read)?;
            Ok(Some(Wire::new(transport)))
        });
        let error = match advanced {
            Ok(None) if shared.now() >= self.until => io::ErrorKind::TimedOut.into(),
            Ok(wire) => return Ok(wire),
            Err(error) => error,
        };
        Err(unreachable(&self.target, error))
    }
}

/// Runs until the session ends.
pub(crate) fn run(shared: &Shared, bell: &Arc<Bell>) {
    let mut wire: Option<Wire> = None;
    let mut dialing: Option<Dialing> = None;
    let mut events = Vec::new();
    loop {
        shared.silence();
        match shared.poll() {
            Act::End => return finish(shared, wire),
            Act::HangUp => {
                wire = None;
                shared.lost(no_answer());
            }
            Act::Secure(name) => {
                if let Some(Err(error)) = wire.as_mut().map(|wire| wire.secure(shared, bell, &name)) {
                    wire = None;
                    shared.lost(error);
                }
            }
            Act::Dial(target) => match Dialing::begin(shared, bell, target) {
                Ok(begun) => dialing = Some(begun),
                Err(error) => shared.lost(error),
            },
            Act::Wait(until) => {
                let until = match dialing.as_mut().map(|dialing| dialing.advance(shared, bell)) {
                    None => until,
                    Some(Ok(None)) => dialing.as_ref().map_or(until, |dialing| dialing.until.min(until)),
                    Some(Ok(Some(connected))) => {
                        (wire, dialing) = (Some(connected), None);
                        let now = shared.now();
                        shared.session().dialed(now);
                        continue;
                    }
                    Some(Err(error)) => {
                        dialing = None;
                        shared.lost(error);
                        continue;
                    }
                };
                if let Some(Err(error)) = wire.as_mut().map(|wire| wire.write(shared, bell)) {
                    wire = None;
                    shared.lost(error);
                    continue;
                }
                // What is kept inside TLS tells no event; it is read after what waits to be written.
                let mut is_due = wire.as_ref().is_some_and(Wire::has_more);
                let left =
                    if is_due { Duration::ZERO } else { until.since(shared.now()).min(Duration::from_secs(3600)) };
                if bell.poller.wait(&mut events, Some(left)).is_err() {
                    continue;
                }
                for event in &events {
                    if event.token == BELL {
                        bell.waker.reset();
                    } else {
                        is_due |= event.readable || event.ended || wire.as_ref().is_some_and(|wire| wire.securing);
                    }
                }
                if is_due && let Some(Err(error)) = wire.as_mut().map(|wire| wire.ready(shared, bell)) {
                    wire = None;
                    shared.lost(error);
                }
            }
        }
    }
}

impl Wire {
    fn new(transport: Box<dyn SocketTransport>) -> Self {
        let (input, buffer) = (BytesMut::new(), vec![0; READ_BUFFER]);
        let transport = Carrier::Plain(transport);
        Self { transport, securing: false, input, buffer, output: Vec::new(), written: 0, watches_room: false }
    }

    /// Begins TLS. Nothing that has come in the clear is left.
    #[cfg(feature = "tls")]
    fn secure(&mut self, shared: &Shared, bell: &Bell, name: &str) -> Result<()> {
        self.input.clear();
        let Carrier::Plain(transport) = std::mem::replace(&mut self.transport, Carrier::Gone) else {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        };
        self.transport = Carrier::Tls(Box::new(shared.tls()?.over(transport, name)?));
        self.securing = true;
        self.ready(shared, bell)
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&mut self, _: &Shared, _: &Bell, _: &str) -> Result<()> {
        self.transport = Carrier::Gone;
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }

    /// Goes on with the handshake, or reads.
    fn ready(&mut self, shared: &Shared, bell: &Bell) -> Result<()> {
        #[cfg(feature = "tls")]
        if let (true, Carrier::Tls(transport)) = (self.securing, &self.transport) {
            match transport.handshake().map_err(told)? {
                Handshake::Wait(interest) => {
                    bell.poller.modify(&**transport, SOCKET, interest)?;
                    return Ok(());
                }
                Handshake::Done | Handshake::Plain => {
                    bell.poller.modify(&**transport, SOCKET, Interest::Read)?;
                    (self.securing, self.watches_room) = (false, false);
                    shared.session().secured();
                }
            }
        }
        let _ = bell;
        self.read(shared)
    }

    fn has_more(&self) -> bool {
        !self.securing && self.transport.get().is_ok_and(|transport| transport.has_more())
    }

    fn read(&mut self, shared: &Shared) -> Result<()> {
        match self.transport.get()?.try_read(&mut self.buffer) {
            Ok(0) => Err(ended()),
            Ok(count) => {
                self.input.extend_from_slice(&self.buffer[..count]);
                shared.received(&mut self.input)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(told(error)),
        }
    }

    /// Writes what there is, as far as the socket takes it.
    ///
    /// It ends what it had begun and takes from the session once more, then no more: a user who publishes without end must not keep the thread
    /// from reading. Whoever publishes after that has rung the bell, so that the next wait ends at once.
    fn write(&mut self, shared: &Shared, bell: &Bell) -> Result<()> {
        if self.securing {
            return Ok(());
        }
        for _ in 0..2 {
            if self.written == self.output.len() {
                self.output.clear();
                self.written = 0;
                shared.session().take_output(&mut self.output);
            }
            while self.written < self.output.len() {
                match self.transport.get()?.try_write(&[IoSlice::new(&self.output[self.written..])]) {
                    Ok(count) => self.written += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.watch_room(bell, true),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        // What was taken and could not be sent has to wait for room, too.
        let is_kept = self.transport.get()?.try_flush().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        self.watch_room(bell, is_kept)
    }

    fn watch_room(&mut self, bell: &Bell, on: bool) -> Result<()> {
        if self.watches_room != on {
            let interest = if on { Interest::ReadWrite } else { Interest::Read };
            bell.poller.modify(self.transport.get()?, SOCKET, interest)?;
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
    let Ok(transport) = wire.transport.get() else { return };
    if wire.securing {
        return;
    }
    while wire.written < wire.output.len() && Instant::now() < until {
        match transport.try_write(&[IoSlice::new(&wire.output[wire.written..])]) {
            Ok(count) => wire.written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(_) => break,
        }
    }
    let is_kept = || transport.try_flush().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    while is_kept() && Instant::now() < until {
        std::thread::yield_now();
    }
    transport.shutdown();
}
