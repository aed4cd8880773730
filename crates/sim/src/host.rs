//! The driver of a simulated broker: what its reactors do with sockets, this does with wires, in one thread.
//!
//! Connections are spread over several workers, as reactors spread them, so that what one worker remembers while another changes it is
//! part of the simulation.

use std::{collections::BTreeMap, io, sync::Arc};

use crosstie_broker::{
    Options,
    core::{Connection, Core, Next, PAUSE, Worker},
};
use crosstie_core::{Mono, Randomness, Seeded, Wall};

use crate::wire::{BrokerEnd, Side, Wire};

/// What is done for a client before others have their turn, in the core's units of effort: little, so that turns end in the middle of
/// what was read.
const TURN: u64 = 8;

/// A connection, as a reactor's slot holds it.
struct Entry {
    connection: Connection,
    wire: Arc<Wire>,
    worker: usize,
    due: Mono,
    paused_until: Option<Mono>,
}

/// One life of the broker.
pub(crate) struct Host {
    core: Core,
    workers: Vec<Worker>,
    entries: BTreeMap<u64, Entry>,
    left: Vec<u64>,
}

impl Host {
    pub(crate) fn new(options: Options, workers: usize, random: &mut Seeded, now: Mono) -> Self {
        let core = Core::new(options, "SIMULATED".into(), "broker".into(), 4222, now, Wall::from_unix_nanos(0));
        let workers = (0..workers).map(|_| core.worker(Box::new(Seeded::new(random.next_u64())))).collect();
        Self { core, workers, entries: BTreeMap::new(), left: Vec::new() }
    }

    pub(crate) fn accept(&mut self, wire: Arc<Wire>, now: Mono) {
        let (id, worker) = (wire.id(), wire.id() as usize % self.workers.len());
        let link = Arc::new(BrokerEnd(Arc::clone(&wire)));
        let connection = self.core.open(link, None, &mut self.workers[worker], now, wall(now));
        self.core.flush(&mut self.workers[worker], now);
        self.entries.insert(id, Entry { connection, wire, worker, due: now, paused_until: None });
        if self.entries[&id].connection.is_closing() {
            self.close(id, now);
        }
    }

    /// Reads what has arrived, unless the connection has to rest; a connection that the core has ended is closed in any case.
    pub(crate) fn readable(&mut self, id: u64, now: Mono) {
        if self.entries.get(&id).is_some_and(|entry| entry.wire.is_over(Side::Broker)) {
            return self.close(id, now);
        }
        while let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.paused_until.is_none()) {
            let worker = &mut self.workers[entry.worker];
            let next = match entry.wire.read(Side::Broker) {
                Ok(bytes) if bytes.is_empty() => Next::Close,
                Ok(bytes) => {
                    worker.allow(TURN);
                    self.core.input(&mut entry.connection, worker, &bytes, now)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => Next::Close,
            };
            self.follow(id, next, now);
        }
    }

    pub(crate) fn writable(&mut self, id: u64, now: Mono) {
        if let Some(entry) = self.entries.get(&id) {
            self.core.writable(&entry.connection, &mut self.workers[entry.worker], now);
        }
    }

    /// Writes what an act earned, and does what the core asks for next.
    fn follow(&mut self, id: u64, next: Next, now: Mono) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let crowded = self.core.flush(&mut self.workers[entry.worker], now);
        match next {
            Next::Read | Next::Yield if crowded => entry.paused_until = Some(now + PAUSE),
            Next::Read => {}
            Next::Pause(until) => entry.paused_until = Some(until),
            Next::Yield => entry.paused_until = Some(now),
            Next::Check(_) => unreachable!("no simulated client has a hashed password"),
            Next::Close => self.close(id, now),
        }
    }

    fn close(&mut self, id: u64, now: Mono) {
        if let Some(entry) = self.entries.remove(&id) {
            self.core.close(entry.connection, &mut self.workers[entry.worker], now);
            self.core.flush(&mut self.workers[entry.worker], now);
            self.left.push(id);
        }
    }

    /// Does what is due.
    pub(crate) fn sweep(&mut self, now: Mono) {
        for worker in &mut self.workers {
            self.core.forget_if_changed(worker);
        }
        let ids: Vec<u64> = self.entries.keys().copied().collect();
        for id in ids {
            self.wake(id, now);
            self.tick(id, now);
        }
        for worker in &mut self.workers {
            self.core.flush(worker, now);
        }
    }

    /// When something is due next.
    pub(crate) fn due(&self) -> Mono {
        let due = |entry: &Entry| entry.due.min(entry.paused_until.unwrap_or(Mono::MAX));
        self.entries.values().map(due).min().unwrap_or(Mono::MAX)
    }

    /// Reads on after a pause: first what was held back.
    fn wake(&mut self, id: u64, now: Mono) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.paused_until.is_some_and(|until| now >= until) {
            entry.paused_until = None;
            let worker = &mut self.workers[entry.worker];
            worker.allow(TURN);
            let next = self.core.input(&mut entry.connection, worker, &[], now);
            self.follow(id, next, now);
            self.readable(id, now);
        }
    }

    fn tick(&mut self, id: u64, now: Mono) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| now >= entry.due) else { return };
        let (next, due) = self.core.tick(&mut entry.connection, &mut self.workers[entry.worker], now);
        entry.due = due;
        if let Next::Close = next {
            self.follow(id, next, now);
        }
    }

    /// Tells every client that this broker leaves.
    pub(crate) fn lame_duck(&mut self, now: Mono) {
        self.core.lame_duck(&mut self.workers[0]);
        self.core.flush(&mut self.workers[0], now);
    }

    /// Ends the oldest connection. False if there is none.
    pub(crate) fn disconnect_one(&mut self, now: Mono) -> bool {
        let Some((&id, entry)) = self.entries.first_key_value() else { return false };
        self.core.disconnect(entry.connection.peer());
        self.close(id, now);
        true
    }

    /// The connections that have ended since it was asked last.
    pub(crate) fn take_left(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.left)
    }

    /// Every connection it has.
    pub(crate) fn wires(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }

    /// The most bytes that wait for one client.
    pub(crate) fn most_pending(&self, now: Mono) -> usize {
        let all = self.core.connections(false, now, wall(now));
        all.iter().map(|connection| connection.pending_bytes as usize).max().unwrap_or(0)
    }

    /// How many clients it has cut off: for not keeping up, and for not answering.
    pub(crate) fn cut_off(&self, now: Mono) -> (u64, u64) {
        let snapshot = self.core.snapshot(now);
        (snapshot.slow_consumers, snapshot.stale_connections)
    }
}

fn wall(now: Mono) -> Wall {
    Wall::from_unix_nanos(now.as_nanos())
}
