//! A simulated connection: a pipe each way, and what each of its two ends knows of its fate.

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crosstie_broker::core::Link;
use crosstie_core::{ByteTransport, Clock, ManualClock, Mono, Seeded};

use crate::pipe::{Lost, Pipe, Weather};

/// One end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Broker,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Client => Self::Broker,
            Self::Broker => Self::Client,
        }
    }
}

/// The numbers of the wires on which something was done since somebody looked last.
#[derive(Default)]
pub(crate) struct Tray(Mutex<Vec<u64>>);

impl Tray {
    fn put(&self, wire: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(wire);
    }

    /// Each of them once, in their order.
    pub(crate) fn take(&self) -> Vec<u64> {
        let mut wires = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wires.sort_unstable();
        wires.dedup();
        wires
    }
}

struct End {
    /// What is on its way to this end.
    inbox: Pipe,
    /// It knows that the connection is over, or has ended it itself.
    is_over: bool,
    /// It found no room and waits for some.
    wants_room: bool,
}

struct State {
    random: Seeded,
    client: End,
    broker: End,
}

impl State {
    const fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Broker => &mut self.broker,
        }
    }
}

/// A simulated connection. The lock is there because the broker's core demands it of every transport; nobody ever waits for it.
pub(crate) struct Wire {
    id: u64,
    clock: Arc<ManualClock>,
    tray: Arc<Tray>,
    state: Mutex<State>,
}

impl Wire {
    pub(crate) fn new(id: u64, weather: Weather, random: Seeded, clock: Arc<ManualClock>, tray: Arc<Tray>) -> Self {
        let end = || End { inbox: Pipe::new(weather), is_over: false, wants_room: false };
        Self { id, clock, tray, state: Mutex::new(State { random, client: end(), broker: end() }) }
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has arrived at `side`; as a socket's `read` has it, nothing at all is the end.
    pub(crate) fn read(&self, side: Side) -> io::Result<Vec<u8>> {
        let mut state = self.lock();
        let end = state.end(side);
        if end.is_over {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let read = end.inbox.read(self.clock.mono());
        self.tray.put(self.id);
        read.map_err(reset)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// Sends as much as there is room for.
    pub(crate) fn write(&self, side: Side, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.end(side).is_over {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let inbox = match side {
            Side::Client => &mut state.broker.inbox,
            Side::Broker => &mut state.client.inbox,
        };
        let mut written = 0;
        for slice in slices {
            let taken = inbox.write(slice, self.clock.mono(), &mut state.random).map_err(reset)?;
            written += taken;
            if taken < slice.len() {
                break;
            }
        }
        self.tray.put(self.id);
        if written == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(written)
    }

    /// `side` ends the connection: the other end reads what is on its way, then the end. What it sends meanwhile is lost.
    pub(crate) fn close(&self, side: Side) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let end = state.end(side);
        if std::mem::replace(&mut end.is_over, true) {
            return;
        }
        end.inbox.sever();
        let other = match side {
            Side::Client => &mut state.broker.inbox,
            Side::Broker => &mut state.client.inbox,
        };
        other.end(self.clock.mono(), &mut state.random);
        self.tray.put(self.id);
    }

    /// Ends both directions behind both ends' backs; what is on its way still arrives.
    pub(crate) fn interrupt(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.broker.inbox.end(self.clock.mono(), &mut state.random);
        state.client.inbox.end(self.clock.mono(), &mut state.random);
        self.tray.put(self.id);
    }

    /// Loses everything on its way and to come. Neither end knows until it is told.
    pub(crate) fn sever(&self) {
        let mut state = self.lock();
        state.broker.inbox.sever();
        state.client.inbox.sever();
        self.tray.put(self.id);
    }

    /// `side` learns that the connection is over.
    pub(crate) fn tell(&self, side: Side) {
        let mut state = self.lock();
        let end = state.end(side);
        end.is_over = true;
        end.inbox.cut();
    }

    /// True if `side` has ended the connection or was told of its end.
    pub(crate) fn is_over(&self, side: Side) -> bool {
        self.lock().end(side).is_over
    }

    /// When something arrives next at `side`, if it still listens.
    pub(crate) fn next_arrival(&self, side: Side) -> Option<Mono> {
        let mut state = self.lock();
        let end = state.end(side);
        if end.is_over { None } else { end.inbox.next_arrival() }
    }

    /// Asks for a word once there is room for `side` to write.
    pub(crate) fn watch_room(&self, side: Side) {
        self.lock().end(side).wants_room = true;
        self.tray.put(self.id);
    }

    /// True, once, if `side` waits for room and there is some.
    pub(crate) fn take_room(&self, side: Side) -> bool {
        let mut state = self.lock();
        let has_room = state.end(side.other()).inbox.has_room();
        has_room && std::mem::take(&mut state.end(side).wants_room)
    }

    /// The bytes on their way to the end that has more of them.
    pub(crate) fn held(&self) -> usize {
        let state = self.lock();
        state.client.inbox.held().max(state.broker.inbox.held())
    }
}

fn reset(_: Lost) -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// The broker's end, as its core sees it.
pub(crate) struct BrokerEnd(pub(crate) Arc<Wire>);

impl ByteTransport for BrokerEnd {
    fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        // The driver reads from the wire itself; the core never reads.
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(Side::Broker, slices)
    }

    fn shutdown(&self) {
        self.0.close(Side::Broker);
    }
}

impl Link for BrokerEnd {
    fn watch_writable(&self) {
        self.0.watch_room(Side::Broker);
    }
}
