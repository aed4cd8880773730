//! What every page is made of: a source, and what does not change while a server runs.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crosstie_broker::{ConnectionSnapshot, Options, Snapshot};
use crosstie_core::HostPort;

/// What can be monitored: a broker.
pub(crate) trait Monitored: Send + Sync + 'static {
    /// The whole.
    fn snapshot(&self) -> Snapshot;
    /// What it was told, as it is in force.
    fn options(&self) -> Arc<Options>;
    /// Every connection with its subscriptions.
    fn connections(&self) -> Vec<ConnectionSnapshot>;
    /// The last connections that have ended.
    fn closed_connections(&self) -> Vec<ConnectionSnapshot>;
}

impl Monitored for crosstie_broker::Broker {
    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }

    fn options(&self) -> Arc<Options> {
        Self::options(self)
    }

    fn connections(&self) -> Vec<ConnectionSnapshot> {
        Self::connections(self, true)
    }

    fn closed_connections(&self) -> Vec<ConnectionSnapshot> {
        Self::closed_connections(self)
    }
}

/// What does not change while a server runs.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// Others may read it, too, although nobody is asked who they are.
    pub(crate) insecure: bool,
    /// Where clients connect over TCP, if they do.
    pub(crate) clients: Option<HostPort>,
}

/// What every page is made of.
pub(super) struct Page {
    pub(super) about: About,
    pub(super) source: Arc<dyn Monitored>,
    pub(super) address: SocketAddr,
    pub(super) asked: Asked,
}

/// How often each page was asked for.
#[derive(Default)]
pub(super) struct Asked {
    counts: [AtomicU64; Self::PAGES.len()],
}

impl Asked {
    const PAGES: [&'static str; 6] = ["/", "/connz", "/healthz", "/metrics", "/subsz", "/varz"];

    /// Counts a request for one of the pages.
    pub(super) fn note(&self, path: &str) {
        if let Some(at) = Self::PAGES.iter().position(|page| *page == path) {
            // Relaxed: a count says nothing about anything else.
            self.counts[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The pages that were asked for.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Self::PAGES.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}
