//! What the server sends: cut into operations, and messages handed to their subscriptions.

use bytes::{Bytes, BytesMut};
use crosstie_core::{Error, Kind, Message, Mono, Result, Subject};
use crosstie_proto::nats::{
    decode_headers,
    server_op::{Msg, Parsed, ServerOp, parse},
    write,
};

use super::{
    event::Event,
    state::{Link, Session},
};
use crate::feed::Parcel;

impl Session {
    /// Takes in what the server has sent; leaves what is not yet whole in `input`.
    ///
    /// # Errors
    ///
    /// The server broke the protocol or refused us: hang up, and hand the error to [`Session::lost`].
    pub fn received(&mut self, input: &mut BytesMut, now: Mono) -> Result<()> {
        let result = self.read(input, now);
        self.hand_over();
        result
    }

    pub(super) fn read(&mut self, input: &mut BytesMut, now: Mono) -> Result<()> {
        if input.len() < self.wanted {
            return Ok(());
        }
        self.wanted = 0;
        let chunk = input.split().freeze();
        let mut at = 0;
        loop {
            at += self.take_alike(&chunk, at);
            if at == chunk.len() {
                return Ok(());
            }
            match parse(&chunk[at..]) {
                Parsed::Op { op, len } => {
                    at += len;
                    self.execute(op, &chunk, now)?;
                    // What stands behind the greeting in the clear was put there by somebody else: a server waits for TLS then.
                    if matches!(self.link, Link::Secure { .. }) {
                        return Ok(());
                    }
                }
                Parsed::NeedMore { total } => {
                    self.wanted = total;
                    input.extend_from_slice(&chunk[at..]);
                    return Ok(());
                }
                Parsed::Violation(violation) => {
                    return Err(Error::new(Kind::Protocol, "the server cannot be understood").because(violation));
                }
            }
        }
    }

    /// Takes as many plain messages as follow at `start` with a head like the last one's; says how many bytes they took up.
    pub(super) fn take_alike(&mut self, chunk: &Bytes, start: usize) -> usize {
        let mut at = start;
        let Some((sid, subject)) = &self.familiar_to else { return 0 };
        // Where a maximum has to be counted up to, each message is looked at on its own.
        let Some(wish) = self.wishes.get_mut(sid).filter(|wish| wish.max.is_none()) else { return 0 };
        while let Some(found) = self.familiar.recognize(&chunk[at..]) {
            if wish.staged.is_empty() {
                self.touched.push(*sid);
            }
            if !wish.staged.takes(subject, chunk) {
                break;
            }
            wish.staged.note(at + found.body.start..at + found.body.end);
            wish.delivered += 1;
            self.stats.in_msgs += 1;
            self.stats.in_bytes += found.body.len() as u64;
            at += found.len;
            if wish.staged.len() >= Parcel::FULL {
                wish.hand_over(&self.events);
            }
        }
        at - start
    }

    pub(super) fn execute(&mut self, op: ServerOp<'_>, chunk: &Bytes, now: Mono) -> Result<()> {
        match op {
            ServerOp::Msg(message) => self.deliver(&message, chunk),
            ServerOp::Ping => write::pong(&mut self.out),
            ServerOp::Pong => self.pong(now),
            ServerOp::Ok => {}
            ServerOp::Info(json) => self.greeted(json)?,
            ServerOp::Err(text) => self.complaint(&String::from_utf8_lossy(text))?,
        }
        Ok(())
    }

    pub(super) fn deliver(&mut self, msg: &Msg<'_>, chunk: &Bytes) {
        self.stats.in_msgs += 1;
        self.stats.in_bytes += msg.body.len() as u64;
        let Some(wish) = self.wishes.get_mut(&msg.sid) else {
            return;
        };
        wish.delivered += 1;
        let is_last = wish.max.is_some_and(|max| wish.delivered >= max);
        if is_last && wish.counted_by_server().is_none() {
            write::unsubscribe(&mut self.out, msg.sid, None);
        }
        let Some(message) = message(msg, chunk, &mut wish.last_subject) else {
            let text = format!("a message on '{}' cannot be read", String::from_utf8_lossy(msg.subject));
            self.events.put(Event::ServerError(text));
            if is_last {
                self.close_wishes(&[msg.sid]);
            }
            return;
        };
        if self.pending.is_inbox(msg.sid) {
            self.pending.answer(message);
            return;
        }
        if wish.staged.is_empty() {
            self.touched.push(msg.sid);
        }
        if msg.reply.is_none() && msg.header_len.is_none() && wish.max.is_none() {
            self.familiar.learn(msg);
            self.familiar_to = Some((msg.sid, message.subject.clone()));
        }
        wish.staged.add(message, chunk);
        if is_last {
            self.close_wishes(&[msg.sid]);
        } else if wish.staged.len() >= Parcel::FULL {
            wish.hand_over(&self.events);
        }
    }

    /// Puts what is staged into the mailboxes.
    pub(super) fn hand_over(&mut self) {
        for sid in self.touched.drain(..) {
            if let Some(wish) = self.wishes.get_mut(&sid) {
                wish.hand_over(&self.events);
            }
        }
    }
}

/// The message as its user sees it, sharing the bytes of `chunk`; `None` if it breaks the rules.
fn message(msg: &Msg<'_>, chunk: &Bytes, last: &mut Option<Subject>) -> Option<Message> {
    let subject = match last {
        Some(last) if last.as_bytes() == msg.subject => last.clone(),
        _ => {
            // A copy of its own: a remembered subject must not keep a whole chunk alive.
            let subject = Subject::from_bytes(Bytes::copy_from_slice(msg.subject)).ok()?;
            last.insert(subject).clone()
        }
    };
    let reply = match msg.reply {
        Some(reply) => Some(Subject::from_bytes(chunk.slice_ref(reply)).ok()?),
        None => None,
    };
    let header_len = msg.header_len.unwrap_or(0);
    let (headers, status) = match msg.header_len {
        Some(len) => decode_headers(&msg.body[..len]).ok()?,
        None => Default::default(),
    };
    Some(Message { subject, reply, status, headers, payload: chunk.slice_ref(&msg.body[header_len..]) })
}
