//! The ways to talk that a machine has.

use super::{course::Figures, line::Kind};

/// What carries the bytes in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Memory,
    Kernel,
    Network,
    Broker,
}

/// A way to talk.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) family: Family,
    pub(super) kind: Kind,
    /// Its endpoint; `{}` is the directory in which both ends meet, or a name that is free.
    pub(super) endpoint: &'static str,
}

impl Way {
    const fn new(name: &'static str, family: Family, kind: Kind, endpoint: &'static str) -> Self {
        Self { name, family, kind, endpoint }
    }
}

/// All of them.
pub(super) const WAYS: [Way; 14] = [
    Way::new("ring", Family::Memory, Kind::Ring, "shm:{}"),
    Way::new("shm:", Family::Memory, Kind::Bytes, "shm:{}"),
    Way::new("shm: channel", Family::Memory, Kind::Channel, "shm:{}"),
    Way::new("shm: datagrams", Family::Memory, Kind::Datagrams, "shm:{}"),
    Way::new("mem:", Family::Memory, Kind::Bytes, "mem:{}"),
    Way::new("pipe:", Family::Kernel, Kind::Pipe, "pipe:"),
    Way::new("fifo:", Family::Kernel, Kind::Fifo, "fifo:{}/fifo"),
    Way::new("unix:", Family::Kernel, Kind::Bytes, "unix:{}/stream"),
    Way::new("unix: channel", Family::Kernel, Kind::Channel, "unix:{}/channel"),
    Way::new("unix: datagrams", Family::Kernel, Kind::Datagrams, "unix:{}/datagrams"),
    Way::new("tcp:", Family::Network, Kind::Bytes, "tcp://127.0.0.1:0"),
    Way::new("tcp: channel", Family::Network, Kind::Channel, "tcp://127.0.0.1:0"),
    Way::new("udp:", Family::Network, Kind::Datagrams, "udp://127.0.0.1:0"),
    Way::new("broker", Family::Broker, Kind::Broker, "nats+unix:{}/broker"),
];

/// A way and what it costs.
pub(super) struct Row {
    pub(super) way: Way,
    pub(super) figures: Figures,
}
