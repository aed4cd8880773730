//! Subscriptions and requests: begun, ended, forgotten.

use std::sync::Arc;

use bytes::Bytes;
use crosstie_core::{Message, Result};
use crosstie_proto::nats::write;

use super::{
    pending::Answer,
    state::{AfterPong, Session},
    wish::Wish,
};
use crate::feed::{Feed, Parcel};

impl Session {
    /// Subscribes; on every connection to come as well. Gives the id to end it by, and where its messages come to.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn subscribe(&mut self, pattern: Bytes, queue: Option<Bytes>) -> Result<(u64, Arc<Feed>)> {
        self.check_open()?;
        let feed = Arc::new(Feed::new(self.options.subscription_capacity, self.options.subscription_bytes));
        let sid = self.next_sid;
        self.next_sid += 1;
        if self.is_connected() {
            write::subscribe(&mut self.out, &pattern, queue.as_deref(), sid);
        }
        let wish = Wish {
            pattern,
            queue,
            feed: Arc::clone(&feed),
            delivered: 0,
            before: 0,
            max: None,
            last_subject: None,
            staged: Parcel::default(),
            slow: false,
        };
        self.wishes.insert(sid, wish);
        Ok((sid, feed))
    }

    /// Ends a subscription: now, or after `max` messages in all.
    pub fn unsubscribe(&mut self, sid: u64, max: Option<u64>) {
        let connected = self.is_connected();
        let Some(wish) = self.wishes.get_mut(&sid) else { return };
        let max = max.filter(|max| *max > wish.delivered);
        wish.max = max;
        let counted = wish.counted_by_server();
        if connected && (max.is_none() || counted.is_some()) {
            write::unsubscribe(&mut self.out, sid, counted);
        }
        if max.is_none() {
            self.close_wishes(&[sid]);
        }
    }

    /// Ends a subscription, but delivers what is under way first.
    pub fn drain_subscription(&mut self, sid: u64) {
        if !self.is_connected() {
            self.close_wishes(&[sid]);
            return;
        }
        write::unsubscribe(&mut self.out, sid, None);
        self.ping(AfterPong::Ended(vec![sid]));
    }

    /// Sends a request; its answers come to the mailbox. `Ok(None)` where `publish` gives `Ok(false)`. Call [`Session::forget`] when nobody
    /// waits for them any more.
    ///
    /// # Errors
    ///
    /// As [`Session::publish`], and `Limit` if too many requests wait already.
    pub fn request(&mut self, mut message: Message, max: u64) -> Result<Option<Answer>> {
        self.check_open()?;
        if !self.pending.has_inbox() {
            let (sid, _) = self.subscribe(self.pending.pattern(), None)?;
            self.pending.set_inbox(sid);
        }
        let answer = self.pending.expect(&message.subject, max)?;
        message.reply = Some(self.pending.subject(answer.token));
        match self.publish(&message) {
            Ok(true) => Ok(Some(answer)),
            Ok(false) => {
                self.pending.forget(answer.token);
                Ok(None)
            }
            Err(error) => {
                self.pending.forget(answer.token);
                Err(error)
            }
        }
    }

    /// Expects no more answers to a request.
    pub fn forget(&mut self, token: u64) {
        self.pending.forget(token);
    }
}
