//! What every page is made of: a source, and what does not change while a server runs.

use std::{net::SocketAddr, sync::Arc};

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
}
