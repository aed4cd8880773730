//! A subscription that is wanted: on this connection, and on every one to come.

use std::sync::Arc;

use bytes::Bytes;
use crosstie_core::Subject;

use super::event::Event;
use crate::{
    broadcast::Broadcast,
    feed::{Feed, Parcel},
};

pub(super) struct Wish {
    pub(super) pattern: Bytes,
    pub(super) queue: Option<Bytes>,
    pub(super) feed: Arc<Feed>,
    pub(super) delivered: u64,
    /// Delivered before the current connection, which the server does not know of.
    pub(super) before: u64,
    pub(super) max: Option<u64>,
    pub(super) last_subject: Option<Subject>,
    /// Received, but not yet in the feed: it goes there with others in one step.
    pub(super) staged: Parcel,
    pub(super) slow: bool,
}

impl Wish {
    /// The largest number of messages a server takes to count by: it reads nine digits.
    const MAX_COUNTED: u64 = 999_999_999;

    /// How many messages of this connection the server is to count for us. A larger number we count by ourselves.
    pub(super) fn counted_by_server(&self) -> Option<u64> {
        self.max.map(|max| max - self.before).filter(|max| *max <= Self::MAX_COUNTED)
    }

    pub(super) fn hand_over(&mut self, events: &Broadcast<Event>) {
        if self.staged.is_empty() {
            return;
        }
        let was_slow = std::mem::replace(&mut self.slow, !self.feed.put(std::mem::take(&mut self.staged)));
        if self.slow && !was_slow {
            events.put(Event::SlowSubscription(String::from_utf8_lossy(&self.pattern).into_owned()));
        }
    }
}
