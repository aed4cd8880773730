//! What the two halves of a channel share, and what they make of what comes.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crosstie_core::{Clock, Error, Headers, Kind, Mono, Result, SystemClock};
use crosstie_proto::frame::{Direction, Event, Session, Step, Terms};

use crate::{
    ChannelOptions, Payload,
    compression::{Packed, Packer, Unpacker},
    difference::can_read,
};

/// A message, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received<T> {
    /// What was sent.
    pub value: T,
    /// Control information.
    pub headers: Headers,
    /// Its number in its direction, from 1.
    pub number: u64,
    /// How many messages before it are lost. Zero on a link that loses nothing.
    pub lost: u64,
}

/// A message that was not taken, and why.
#[derive(Debug, thiserror::Error)]
pub enum TrySendError<T> {
    /// As much waits as may. Try again later.
    #[error("as many messages wait to be written as may: try again later")]
    Full(T),
    /// It will not go later either.
    #[error("{1}")]
    Failed(T, #[source] Error),
}

/// What has come over a channel so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// The number of the last message.
    pub last: u64,
    /// Messages that did not come, those included that came late.
    pub lost: u64,
    /// Messages that came again, and were dropped.
    pub duplicates: u64,
    /// Messages that came after later ones, and were dropped.
    pub late: u64,
}

/// A session, shared by the half that sends and the half that receives.
pub(crate) struct Exchange {
    session: Mutex<Session>,
    packer: Mutex<Packer>,
    clock: SystemClock,
    pub(crate) options: ChannelOptions,
}

impl Exchange {
    pub(crate) fn new<S: Payload, R: Payload>(options: ChannelOptions) -> Result<Self> {
        let clock = SystemClock::new();
        let session = Session::new(options.session::<S, R>()?, clock.mono())?;
        Ok(Self { session: Mutex::new(session), packer: Mutex::default(), clock, options })
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message among what waits to be written. How many bytes the session has then.
    #[inline]
    pub(crate) fn queue<T: Payload>(&self, value: &T, headers: &Headers) -> Result<usize> {
        let mut session = self.session();
        let sending = session.terms().map(|terms| terms.sending);
        if let Some(sending) = sending.filter(|sending| self.options.compress && sending.may_compress) {
            drop(session);
            return self.queue_packed(value, headers, sending);
        }
        session.send(headers, None, |out| sending.map_or(Ok(()), |sending| value.encode(sending.codec, out)))?;
        Ok(session.pending())
    }

    fn queue_packed<T: Payload>(&self, value: &T, headers: &Headers, sending: Direction) -> Result<usize> {
        // Only one half sends, so nobody waits for this lock; the session is free while there is work.
        let mut packer = self.packer.lock().unwrap_or_else(PoisonError::into_inner);
        let packed = packer.pack(sending.max_frame, |out| value.encode(sending.codec, out))?;
        let (bytes, before) = match packed {
            Packed::Plain(bytes) => (bytes, None),
            Packed::Zstd(bytes, before) => (bytes, Some(before)),
        };
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        let mut session = self.session();
        session.send(headers, before, write)?;
        Ok(session.pending())
    }

    /// Does what is due: how long until something is again, and whether there is something to write.
    pub(crate) fn tend(&self) -> Result<(Option<Duration>, bool)> {
        let mut session = self.session();
        // An open session without keep-alive has nothing to do at a time of its own.
        let due = if self.options.keep_alive.is_none() && session.terms().is_some() {
            None
        } else {
            let now = self.clock.mono();
            let due = session.tick(now)?;
            (due != Mono::MAX).then(|| due.since(now))
        };
        Ok((due, session.pending() > 0))
    }

    /// The time of a read, if anybody asks for it: what is heard counts for keep-alive alone.
    pub(crate) fn heard(&self) -> Mono {
        if self.options.keep_alive.is_some() { self.clock.mono() } else { Mono::ZERO }
    }

    pub(crate) fn terms(&self) -> Option<Terms> {
        self.session().terms().copied()
    }

    pub(crate) fn stats(&self) -> ChannelStats {
        let session = self.session();
        let arrived = session.arrived();
        ChannelStats {
            last: arrived.last(),
            lost: arrived.lost(),
            duplicates: arrived.duplicates(),
            late: arrived.late(),
        }
    }
}

/// What was read and not looked at yet.
#[derive(Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// When it was read.
    came: Mono,
    unpacker: Unpacker,
    /// Why nothing more comes.
    ended: Option<(Kind, String)>,
}

/// What a look at the input came to.
pub(crate) enum Look<T> {
    /// The channel is open now.
    Opened,
    Message(Received<T>),
    /// Read on.
    Nothing,
}

impl Input {
    /// How much is read at once at most, unless a frame is longer.
    const READ: usize = 64 * 1024;

    /// Where to read to.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    pub(crate) fn read(&mut self, count: usize, now: Mono) {
        self.end += count;
        self.came = now;
    }

    /// Looks at what is there, until something has come of it.
    ///
    /// # Errors
    ///
    /// Why nothing more comes, the same each time; `Protocol` for one message that is none of this type, after which others may follow.
    #[inline]
    pub(crate) fn look<T: Payload>(&mut self, exchange: &Exchange) -> Result<Look<T>> {
        if let Some((kind, text)) = &self.ended {
            return Err(Error::new(*kind, text.clone()));
        }
        let mut session = exchange.session();
        loop {
            let step = match session.step(&self.bytes[self.start..self.end], self.came, &can_read) {
                Ok(step) => step,
                Err(violation) => {
                    let error = Error::from(violation);
                    return Err(self.end(error.kind(), error.to_string()));
                }
            };
            match step {
                Step::NeedMore(total) => {
                    self.make_room(total);
                    return Ok(Look::Nothing);
                }
                Step::Took(count, event) => {
                    self.start += count;
                    match event {
                        None if self.start == self.end => {
                            self.make_room(0);
                            return Ok(Look::Nothing);
                        }
                        None => {}
                        Some(Event::Opened(terms)) if exchange.options.compress && !terms.sending.may_compress => {
                            let text = "compress=zstd was asked for, and the other side undoes no compression";
                            session.goodbye(text);
                            drop(session);
                            return Err(self.end(Kind::Rejected, text.to_owned()));
                        }
                        Some(Event::Opened(_)) => return Ok(Look::Opened),
                        Some(Event::Message(message)) => {
                            let codec = session.terms().expect("messages come after the hello").receiving.codec;
                            drop(session);
                            let payload = match message.inflated {
                                None => message.payload,
                                Some(len) => self.unpacker.unpack(message.payload, len)?,
                            };
                            let value = T::decode(codec, payload)?;
                            let (number, lost) = (message.number, message.lost);
                            return Ok(Look::Message(Received { value, headers: message.headers, number, lost }));
                        }
                        Some(Event::Finished { lost }) => {
                            let text = format!("the other side has sent its last message{}", told(lost));
                            return Err(self.end(Kind::Closed, text));
                        }
                        Some(Event::Closed { why, lost }) => {
                            let colon = if why.is_empty() { "" } else { ": " };
                            let text = format!("the other side has closed the channel{}{colon}{why}", told(lost));
                            return Err(self.end(Kind::Closed, text));
                        }
                        Some(Event::Refused(why)) => {
                            let text = format!("the other side refused the channel: {why}");
                            return Err(self.end(Kind::Rejected, text));
                        }
                    }
                }
            }
        }
    }

    /// True if nothing more comes.
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// From now on that is what every look says.
    pub(crate) fn end(&mut self, kind: Kind, text: String) -> Error {
        self.ended = Some((kind, text.clone()));
        Error::new(kind, text)
    }

    /// Makes the next read fit, and in all what is wanted.
    fn make_room(&mut self, wanted: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let is_enough = self.bytes.len() - self.end >= Self::READ / 2 && self.bytes.len() - self.start >= wanted;
        if is_enough {
            return;
        }
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        // A long frame has its room only as its bytes come: nobody reserves a gigabyte by saying a number.
        let wanted = wanted.min(2 * self.end + Self::READ).max(self.end + Self::READ);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        } else if self.end == 0 && self.bytes.len() > 16 * Self::READ {
            self.bytes = vec![0; Self::READ];
        }
    }
}

/// What is missing at the end, for nothing comes after it that could tell.
fn told(lost: u64) -> String {
    if lost == 0 { String::new() } else { format!(", and the {lost} before that are lost") }
}
