//! The attacks. Each runs until its process is ended, and takes whatever the server does to it as a reason to go on.

mod crowds;
mod floods;
mod foe;
mod hoards;

use std::io;

/// What one hostile client, or many of them in one process, do.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// What the server asks of those who come.
    pub(super) door: Door,
    /// Comes back only with an error of its own.
    pub(super) run: fn(u16) -> io::Error,
}

/// What a server asks of those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    Password,
    /// TLS is there for whoever begins it; the honest ones speak in the clear.
    Tls,
}

impl Attack {
    pub(super) const ALL: [Self; 17] = [
        Self::new("slow reader", hoards::slow_reader),
        Self::new("slow readers", hoards::slow_readers),
        Self::new("flood", floods::flood),
        Self::new("fan-out bomb", floods::fan_out),
        Self::new("huge frames", floods::huge_frames),
        Self::new("half-open", crowds::half_open),
        Self::new("subscription bomb", hoards::subscriptions),
        Self::new("wildcard bomb", floods::wildcards),
        Self::new("deep subjects", hoards::deep_subjects),
        Self::new("silence", crowds::silent).at(Door::Password),
        Self::new("garbage", floods::garbage),
        Self::new("connection storm", crowds::storm),
        Self::new("partial frames", hoards::partial_frames),
        Self::new("giant headers", floods::giant_headers),
        Self::new("unheard requests", floods::unheard_requests),
        Self::new("password storm", crowds::passwords).at(Door::Password),
        Self::new("half handshakes", crowds::half_handshakes).at(Door::Tls),
    ];

    const fn new(name: &'static str, run: fn(u16) -> io::Error) -> Self {
        Self { name, door: Door::Open, run }
    }

    const fn at(mut self, door: Door) -> Self {
        self.door = door;
        self
    }
}
