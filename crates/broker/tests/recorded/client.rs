//! A client of the pure core, whose wire records what it is sent.

use std::sync::Arc;

use crosstie_broker::core::{Connection, Core, Next, Worker};
use crosstie_core::{ByteTransport, Mono, Wall};

use super::wire::Wire;

pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) wire: Arc<Wire>,
}

impl Client {
    /// A connection that has said nothing.
    pub(crate) fn open(core: &Core, worker: &mut Worker, now: Mono) -> Self {
        let wire = Arc::new(Wire::default());
        let link = Arc::clone(&wire);
        let connection = core.open(link, None, worker, now, Wall::from_unix_nanos(0));
        core.flush(worker, now);
        Self { connection, wire }
    }

    /// One that has introduced itself, with `more` as part of the JSON.
    pub(crate) fn enter(core: &Core, worker: &mut Worker, now: Mono, more: &str) -> Self {
        let mut client = Self::open(core, worker, now);
        let connect = format!("CONNECT {{\"verbose\":false{more}}}\r\nPING\r\n");
        let _ = client.input(core, worker, now, &connect);
        assert!(client.seen().ends_with("PONG\r\n"));
        client
    }

    /// Says something, and lets the core answer.
    pub(crate) fn input(&mut self, core: &Core, worker: &mut Worker, now: Mono, text: &str) -> Next {
        let next = core.input(&mut self.connection, worker, text.as_bytes(), now);
        core.flush(worker, now);
        next
    }

    /// What it was sent since this was last asked.
    pub(crate) fn seen(&self) -> String {
        self.wire.seen()
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        self.wire.is_shut() || self.connection.is_closing()
    }

    /// It goes away.
    pub(crate) fn leave(&self) {
        self.wire.shutdown();
    }
}
