//! The attacks. Each runs until its process is ended, and takes whatever the server does to it as a reason to go on.

mod crowds;
mod floods;
mod foe;
mod hoards;

use std::io;

/// What one hostile client, or many of them in one process, do.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// The server asks for a password.
    pub(super) needs_password: bool,
    /// Comes back only with an error of its own.
    pub(super) run: fn(u16) -> io::Error,
}

impl Attack {
    pub(super) const ALL: [Self; 16] = [
        Self::new("slow reader", hoards::slow_reader),
        Self::new("slow readers", hoards::slow_readers),
        Self::new("flood", floods::flood),
        Self::new("fan-out bomb", floods::fan_out),
        Self::new("huge frames", floods::huge_frames),
        Self::new("half-open", crowds::half_open),
        Self::new("subscription bomb", hoards::subscriptions),
        Self::new("wildcard bomb", floods::wildcards),
        Self::new("deep subjects", hoards::deep_subjects),
        Self::new("silence", crowds::silent).with_password(),
        Self::new("garbage", floods::garbage),
        Self::new("connection storm", crowds::storm),
        Self::new("partial frames", hoards::partial_frames),
        Self::new("giant headers", floods::giant_headers),
        Self::new("unheard requests", floods::unheard_requests),
        Self::new("password storm", crowds::passwords).with_password(),
    ];

    const fn new(name: &'static str, run: fn(u16) -> io::Error) -> Self {
        Self { name, needs_password: false, run }
    }

    const fn with_password(mut self) -> Self {
        self.needs_password = true;
        self
    }
}
