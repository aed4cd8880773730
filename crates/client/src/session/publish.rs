//! Publishing: written at once, kept while the server is away, refused beyond a limit.

use std::sync::Arc;

use crosstie_core::{Error, Headers, Kind, Message, Result, Subject};
use crosstie_proto::nats::write;

use super::state::Session;
use crate::mailbox::Mailbox;

impl Session {
    /// Publishes. `Ok(false)` means that nothing was taken because too much waits: wait for room and try again.
    ///
    /// # Errors
    ///
    /// `Closed`, `TooLarge`, or `Full` if the server is away and what is kept for it has reached its limit.
    pub fn publish(&mut self, message: &Message) -> Result<bool> {
        self.publish_parts(&message.subject, message.reply.as_ref(), &message.headers, &message.payload)
    }

    /// As [`Session::publish`], where there is no message to begin with.
    pub(crate) fn publish_parts(
        &mut self,
        subject: &Subject,
        reply: Option<&Subject>,
        headers: &Headers,
        payload: &[u8],
    ) -> Result<bool> {
        // A client that drains still answers what it has received.
        self.check_not_closed()?;
        let size = payload.len() + headers_len(headers);
        if self.info.max_payload > 0 && size > self.info.max_payload {
            let text = format!(
                "payload and headers have {size} bytes, the server accepts {}: split the message",
                self.info.max_payload
            );
            return Err(Error::new(Kind::TooLarge, text));
        }
        if self.is_connected() && !self.has_room() {
            return Ok(false);
        }
        let full = |kept: usize| {
            Error::new(Kind::Full, format!("the server is away, and {kept} bytes wait for it already: try again later"))
        };
        let (is_away, kept) = (!self.is_connected(), self.kept.len());
        if is_away && kept + size > self.options.reconnect_buffer {
            return Err(full(kept));
        }
        let out = if is_away { &mut self.kept } else { &mut self.out };
        write::publish(out, subject.as_bytes(), reply.map(Subject::as_bytes), headers, payload);
        if is_away && self.kept.len() > self.options.reconnect_buffer {
            // The line around the payload counts as well.
            self.kept.truncate(kept);
            return Err(full(kept));
        }
        self.stats.out_msgs += 1;
        self.stats.out_bytes += payload.len() as u64;
        Ok(true)
    }

    /// Something to wait on until there is room for more output.
    pub fn wait_for_room(&mut self) -> Arc<Mailbox<()>> {
        let mailbox = Arc::new(Mailbox::new(1));
        if self.has_room() {
            // The driver was faster than whoever asks: nobody would tell it later.
            mailbox.put(());
        } else {
            if self.room.len() == self.room.capacity() {
                // Those that gave up meanwhile hold theirs no more. Room for as many again makes this rare.
                self.room.retain(|waiting| Arc::strong_count(waiting) > 1);
                self.room.reserve(self.room.len().max(8));
            }
            self.room.push(Arc::clone(&mailbox));
        }
        mailbox
    }
}

/// How many bytes the headers take up on the wire.
fn headers_len(headers: &Headers) -> usize {
    if headers.is_empty() {
        return 0;
    }
    let lines: usize = headers.iter().map(|(name, value)| name.len() + ": ".len() + value.len() + "\r\n".len()).sum();
    "NATS/1.0\r\n".len() + lines + "\r\n".len()
}
