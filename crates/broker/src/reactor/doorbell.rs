//! Whether somebody waits while one client has its turn.
//!
//! A turn that ends early costs throughput, because what it earned is written in small pieces; one that ends late costs others their
//! latency. So a reactor does not guess how long a turn should be: it looks, every tenth of a millisecond or so, whether a socket has become
//! ready meanwhile. Those of busy clients who have had their turn are not watched, so they do not count.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crosstie_sys::Poller;

use crate::core::Company;

/// The sockets of one reactor, as its worker asks for them in the middle of a turn.
pub(super) struct Doorbell {
    poller: Arc<Poller>,
    served: Arc<AtomicU64>,
}

impl Doorbell {
    /// `served` holds the token of the client whose turn it is. Both are of one thread, so its order does not matter.
    pub(super) const fn new(poller: Arc<Poller>, served: Arc<AtomicU64>) -> Self {
        Self { poller, served }
    }
}

impl Company for Doorbell {
    fn is_waiting(&mut self) -> bool {
        // Whoever cannot look assumes that somebody waits.
        self.poller.is_another_ready(self.served.load(Ordering::Relaxed)).unwrap_or(true)
    }
}
