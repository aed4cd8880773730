//! A connection in its slot of a reactor.

use std::sync::Arc;

use crosstie_core::Mono;

use super::{link::SocketLink, turns::Usage};
use crate::core::Connection;

/// A connection and what its reactor knows of it. It goes from one reactor to another as a whole.
pub(crate) struct Entry {
    pub(super) connection: Connection,
    pub(super) link: Arc<SocketLink>,
    pub(super) due: Mono,
    /// When its timer rings; a timer that rings at another time is an old one.
    pub(super) timer: Mono,
    /// Reads nothing until then.
    pub(super) paused_until: Option<Mono>,
    /// The ticket of its password, while that is checked.
    pub(super) checking: Option<u64>,
    /// Present until its handshake is done, if it makes one.
    pub(super) securing: Option<Securing>,
    pub(super) usage: Usage,
    /// Waits in the line of the busy, its socket unwatched.
    pub(super) is_queued: bool,
    /// Not all of what it sent has been taken in.
    pub(super) has_more: bool,
    /// Its socket has ended and is watched no more: it is read to its end in its turns.
    pub(super) has_ended: bool,
}

/// A handshake.
pub(super) struct Securing {
    /// When it is greeted in the clear, unless it has begun by itself.
    pub(super) greet_at: Mono,
    /// It has said something.
    pub(super) has_begun: bool,
}

impl Entry {
    pub(super) fn new(connection: Connection, link: Arc<SocketLink>, securing: Option<Securing>, now: Mono) -> Self {
        Self {
            connection,
            link,
            due: now,
            timer: Mono::MAX,
            paused_until: None,
            checking: None,
            securing,
            usage: Usage::new(now),
            is_queued: false,
            has_more: false,
            has_ended: false,
        }
    }

    pub(super) const fn may_read(&self) -> bool {
        self.paused_until.is_none() && self.checking.is_none() && self.securing.is_none()
    }

    /// When to look after it next.
    pub(super) fn next_look(&self) -> Mono {
        let greet_at = self.securing.as_ref().map_or(Mono::MAX, |securing| securing.greet_at);
        self.due.min(self.paused_until.unwrap_or(Mono::MAX)).min(greet_at)
    }

    /// True if nobody but its reactor has to find it under its token.
    pub(super) const fn may_move(&self) -> bool {
        self.checking.is_none() && self.securing.is_none() && !self.connection.is_closing()
    }
}
