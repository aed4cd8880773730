//! Which reactor a client belongs to.
//!
//! Per core there are two, twins. One serves whoever says a word now and then; it sleeps most of the time, so the scheduler lets it run as
//! soon as one of them says it, even where all cores are busy. The other serves those who keep a good part of a core busy: a thread that
//! never sleeps waits for its processor as long as any other, and nobody but they should wait with it. A client goes to the other twin
//! when it becomes busy, and comes back when it is so no more.

use std::sync::Arc;

use super::{mailbox::Mailbox, tls::Offers};

/// Whom a reactor serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    /// Those who say a word now and then, and newcomers.
    Light,
    /// Those who keep a good part of a core busy.
    Busy,
}

/// A reactor's place among all of them.
pub(crate) struct Place {
    pub(crate) clients: Clients,
    /// Which pair of twins it belongs to.
    pub(crate) index: usize,
    pub(crate) light: Vec<Arc<Mailbox>>,
    pub(crate) busy: Vec<Arc<Mailbox>>,
    /// The TLS that is offered to newcomers.
    pub(crate) offers: Arc<Offers>,
}
