//! One side of a channel's connection: bytes and the time go in, messages and bytes come out.

use std::time::Duration;

use crosstie_core::{Error, Headers, Kind, Mono, Result};

use super::{
    Hello, MAX_HELLO, PREAMBLE, Terms, Violation, block,
    head::{self, COMPRESSED, Frame, FrameKind, HEAD, HEADERS, Parsed},
    numbers::{Arrival, Numbers},
    terms::CanRead,
};

/// The longest text that a goodbye or a refusal may have.
const MAX_TEXT: usize = 64 * 1024;

/// What a side is told before it begins.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it says of itself.
    pub hello: Hello,
    /// How long the other side's hello may take.
    pub connect_timeout: Duration,
    /// How long the other side may be silent before it is asked whether it is there, and then again before it is given up. None: for
    /// ever, where the end of a process shows by itself.
    pub keep_alive: Option<Duration>,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The hello: messages may be sent.
    Opened(Terms),
    /// A message.
    Message(Incoming<'a>),
    /// The other side sends no more messages. So many of the last are lost.
    Finished {
        /// Zero on a link that loses nothing.
        lost: u64,
    },
    /// The other side is done, and says why, if there is anything to say.
    Closed {
        /// May be empty.
        why: &'a str,
        /// So many of its last messages are lost.
        lost: u64,
    },
    /// The other side will have no channel, and says why.
    Refused(&'a str),
}

/// A message as it lies in what was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// From 1 in its direction.
    pub number: u64,
    /// How many before it are lost.
    pub lost: u64,
    /// Control information.
    pub headers: Headers,
    /// The data, compressed if `inflated` is there.
    pub payload: &'a [u8],
    /// The length before compression, no more than this side takes.
    pub inflated: Option<usize>,
}

/// What a look at the input gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// So many bytes of the input are done with. Something may have happened; look again at the rest.
    Took(usize, Option<Event<'a>>),
    /// Nothing can be done until the input has so many bytes.
    NeedMore(usize),
}

enum Phase {
    Preamble,
    Hello,
    Open(Terms),
    /// Nothing that comes matters any more.
    Ended,
}

/// One side of a connection, without the connection.
pub struct Session {
    options: Options,
    phase: Phase,
    out: Vec<u8>,
    sent: u64,
    arrived: Numbers,
    has_finished: bool,
    other_has_finished: bool,
    begun: Mono,
    heard: Mono,
    pinged: Option<Mono>,
    pings: u64,
    /// The last question that was not answered yet. Whoever asks without reading gets no more than one answer at a time.
    asked: Option<u64>,
}

impl Session {
    /// A side that has said its hello into its output.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the hello is not one that the other side would take: its texts are too long, or `max_frame` is out of bounds.
    pub fn new(options: Options, now: Mono) -> Result<Self> {
        let mut out = PREAMBLE.to_vec();
        let write = |out: &mut Vec<u8>| options.hello.encode(out);
        let is_too_long = head::append(&mut out, FrameKind::Hello, 0, 0, MAX_HELLO + HEAD, write).is_err();
        if is_too_long || !options.hello.fits() {
            let text = "the hello of a channel has at most 64 KiB for each schema, 256 bytes for each name, \
                        and a max_frame from 1 KiB to 1 GiB";
            return Err(Error::new(Kind::InvalidInput, text));
        }
        Ok(Self {
            options,
            phase: Phase::Preamble,
            out,
            sent: 0,
            arrived: Numbers::default(),
            has_finished: false,
            other_has_finished: false,
            begun: now,
            heard: now,
            pinged: None,
            pings: 0,
            asked: None,
        })
    }

    /// Looks at the beginning of what was read. After [`Step::Took`] that much is to be taken off the input.
    ///
    /// # Errors
    ///
    /// [`Violation`]: the connection is to be ended, since nothing after it can be trusted.
    #[inline]
    pub fn step<'a>(
        &mut self,
        input: &'a [u8],
        now: Mono,
        can_read: &CanRead<'_>,
    ) -> std::result::Result<Step<'a>, Violation> {
        let max = match self.phase {
            Phase::Preamble => return self.preamble(input),
            Phase::Hello => MAX_HELLO + HEAD,
            Phase::Open(_) => self.options.hello.max_frame,
            Phase::Ended => return Ok(Step::Took(input.len(), None)),
        };
        match head::parse(input, max)? {
            Parsed::NeedMore(total) => Ok(Step::NeedMore(total)),
            Parsed::Frame(frame, length) => {
                (self.heard, self.pinged) = (now, None);
                Ok(Step::Took(length, self.frame(frame, can_read)?))
            }
        }
    }

    fn preamble<'a>(&mut self, input: &[u8]) -> std::result::Result<Step<'a>, Violation> {
        let there = input.len().min(PREAMBLE.len());
        if input[..there] != PREAMBLE[..there] {
            let begins: Vec<u8> = input.iter().copied().take(32).collect();
            return Err(Violation::Preamble(begins.escape_ascii().to_string()));
        }
        if there < PREAMBLE.len() {
            return Ok(Step::NeedMore(PREAMBLE.len()));
        }
        self.phase = Phase::Hello;
        Ok(Step::Took(there, None))
    }

    #[inline]
    fn frame<'a>(
        &mut self,
        frame: Frame<'a>,
        can_read: &CanRead<'_>,
    ) -> std::result::Result<Option<Event<'a>>, Violation> {
        let out_of_turn = |when| Violation::OutOfTurn { found: frame.kind.name(), when };
        match (frame.kind, &self.phase) {
            (FrameKind::Message, Phase::Open(_)) if !self.other_has_finished => self.message(frame),
            (FrameKind::Message, Phase::Open(_)) => Err(out_of_turn("after a Finish")),
            (FrameKind::Hello, Phase::Hello) => self.hello(frame, can_read).map(Some),
            (FrameKind::Hello, _) => Err(out_of_turn("a second time")),
            (FrameKind::Refused, _) => {
                self.phase = Phase::Ended;
                text(frame.body).map(|why| Some(Event::Refused(why)))
            }
            (FrameKind::Goodbye, _) => {
                self.phase = Phase::Ended;
                let lost = self.arrived.end(frame.number);
                text(frame.body).map(|why| Some(Event::Closed { why, lost }))
            }
            (FrameKind::Finish, Phase::Open(_)) => {
                self.other_has_finished = true;
                Ok(Some(Event::Finished { lost: self.arrived.end(frame.number) }))
            }
            (FrameKind::Ping, Phase::Open(_)) => {
                self.asked = Some(frame.number);
                Ok(None)
            }
            (FrameKind::Pong, Phase::Open(_)) => Ok(None),
            _ => Err(out_of_turn("before a Hello")),
        }
    }

    fn hello<'a>(&mut self, frame: Frame<'a>, can_read: &CanRead<'_>) -> std::result::Result<Event<'a>, Violation> {
        let other = Hello::decode(frame.body)?;
        match Terms::agree(&self.options.hello, &other, can_read) {
            Ok(terms) => {
                self.phase = Phase::Open(terms);
                Ok(Event::Opened(terms))
            }
            Err(refusal) => {
                self.say(FrameKind::Refused, 0, &refusal.0);
                self.phase = Phase::Ended;
                Err(Violation::Refused(refusal.0))
            }
        }
    }

    #[inline]
    fn message<'a>(&mut self, frame: Frame<'a>) -> std::result::Result<Option<Event<'a>>, Violation> {
        if frame.number == 0 {
            return Err(Violation::Text("a message has the number 0, expected 1 and higher".to_owned()));
        }
        let Arrival::After { lost } = self.arrived.note(frame.number) else { return Ok(None) };
        let mut body = frame.body;
        if frame.flags & head::SCHEMA != 0 {
            body = body.get(16..).ok_or(Violation::Short { what: "schema hash", expected: 16, found: body.len() })?;
        }
        let headers = if frame.flags & HEADERS != 0 { block::take(&mut body)? } else { Headers::new() };
        let inflated = if frame.flags & COMPRESSED != 0 { Some(self.take_inflated(&mut body)?) } else { None };
        Ok(Some(Event::Message(Incoming { number: frame.number, lost, headers, payload: body, inflated })))
    }

    fn take_inflated(&self, body: &mut &[u8]) -> std::result::Result<usize, Violation> {
        let limit = if self.options.hello.zstd { self.options.hello.max_frame } else { 0 };
        let found = block::take_length(body, "length before compression")?;
        if found > limit { Err(Violation::Inflated { found, limit }) } else { Ok(found) }
    }

    /// Puts a message into the output, whose payload `write` appends; `inflated` is its length before compression, if `write` appends it
    /// compressed. The number it got.
    ///
    /// # Errors
    ///
    /// `TooLarge` if the other side does not take as long a frame, or more than 64 KiB of headers; `Closed` if this side has finished or one of the two has said
    /// goodbye; `InvalidInput` if the channel is not open yet; that of `write`. Nothing is sent then.
    #[inline]
    pub fn send(
        &mut self,
        headers: &Headers,
        inflated: Option<u32>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<u64> {
        let terms = self.may_send()?;
        block::check(headers)?;
        let flags = if headers.is_empty() { 0 } else { HEADERS } | if inflated.is_some() { COMPRESSED } else { 0 };
        let number = self.sent + 1;
        let mut written = Ok(());
        let body = |out: &mut Vec<u8>| {
            if !headers.is_empty() {
                block::put(headers, out);
            }
            if let Some(inflated) = inflated {
                out.extend_from_slice(&inflated.to_le_bytes());
            }
            written = write(out);
        };
        let start = self.out.len();
        match head::append(&mut self.out, FrameKind::Message, flags, number, terms.sending.max_frame, body) {
            Ok(()) => {
                if let Err(error) = written {
                    self.out.truncate(start);
                    return Err(error);
                }
                self.sent = number;
                Ok(number)
            }
            Err(total) => {
                let limit = terms.sending.max_frame;
                let text = format!(
                    "the message has {total} bytes with its frame, the other side takes {limit}: split it, or raise max_frame there"
                );
                Err(Error::new(Kind::TooLarge, text))
            }
        }
    }

    fn may_send(&self) -> Result<Terms> {
        match &self.phase {
            Phase::Open(terms) if !self.has_finished => Ok(*terms),
            Phase::Open(_) => Err(Error::new(Kind::Closed, "this side has finished sending")),
            Phase::Ended => Err(Error::new(Kind::Closed, "the channel is closed")),
            Phase::Preamble | Phase::Hello => Err(Error::new(
                Kind::InvalidInput,
                "the other side has not said hello yet: wait until the channel is open",
            )),
        }
    }

    /// Says that no more messages come from this side.
    pub fn finish(&mut self) {
        if matches!(self.phase, Phase::Open(_)) && !self.has_finished {
            self.has_finished = true;
            self.plain(FrameKind::Finish, self.sent);
        }
    }

    /// Says that this side is done, and why, if there is anything to say.
    pub fn goodbye(&mut self, why: &str) {
        if !matches!(self.phase, Phase::Ended) {
            self.say(FrameKind::Goodbye, self.sent, why);
            self.phase = Phase::Ended;
        }
    }

    fn plain(&mut self, kind: FrameKind, number: u64) {
        self.say(kind, number, "");
    }

    fn say(&mut self, kind: FrameKind, number: u64, text: &str) {
        let end = (0..=text.len().min(MAX_TEXT)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let write = |out: &mut Vec<u8>| out.extend_from_slice(&text.as_bytes()[..end]);
        head::append(&mut self.out, kind, 0, number, usize::MAX, write).expect("a short frame");
    }

    /// Does what is due at `now`, and tells when to come again.
    ///
    /// # Errors
    ///
    /// `Timeout` if no hello has come in time, `Disconnected` if nothing has been heard for twice the keep-alive time.
    pub fn tick(&mut self, now: Mono) -> Result<Mono> {
        match self.phase {
            Phase::Preamble | Phase::Hello => {
                let due = self.begun + self.options.connect_timeout;
                if now >= due {
                    let text = format!("the other side said no hello within {:?}", self.options.connect_timeout);
                    return Err(Error::new(Kind::Timeout, text));
                }
                Ok(due)
            }
            Phase::Open(_) => self.keep_alive(now),
            Phase::Ended => Ok(Mono::MAX),
        }
    }

    fn keep_alive(&mut self, now: Mono) -> Result<Mono> {
        let Some(patience) = self.options.keep_alive else { return Ok(Mono::MAX) };
        if let Some(pinged) = self.pinged {
            let due = pinged + patience;
            if now >= due {
                let text = format!("the other side did not answer a ping within {patience:?}");
                return Err(Error::new(Kind::Disconnected, text));
            }
            return Ok(due);
        }
        let due = self.heard + patience;
        if now < due {
            return Ok(due);
        }
        self.pings += 1;
        self.plain(FrameKind::Ping, self.pings);
        self.pinged = Some(now);
        Ok(now + patience)
    }

    /// Moves what is to be written to the end of `to`.
    pub fn take_output(&mut self, to: &mut Vec<u8>) {
        if let Some(number) = self.asked.take()
            && !self.has_ended()
        {
            self.plain(FrameKind::Pong, number);
        }
        if to.is_empty() {
            std::mem::swap(to, &mut self.out);
        } else {
            to.append(&mut self.out);
        }
    }

    /// How many bytes wait to be taken.
    pub const fn pending(&self) -> usize {
        self.out.len() + if self.asked.is_some() { HEAD } else { 0 }
    }

    /// What holds, once the other side has said hello.
    pub const fn terms(&self) -> Option<&Terms> {
        match &self.phase {
            Phase::Open(terms) => Some(terms),
            _ => None,
        }
    }

    /// What was lost, doubled and late of what came.
    pub const fn arrived(&self) -> &Numbers {
        &self.arrived
    }

    /// True once the two need no connection any more: either has said goodbye or refused.
    pub const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }
}

fn text(body: &[u8]) -> std::result::Result<&str, Violation> {
    if body.len() > MAX_TEXT {
        return Err(Violation::TooLong { found: body.len(), limit: MAX_TEXT });
    }
    std::str::from_utf8(body).map_err(|_| Violation::Text("a goodbye or refusal is no UTF-8 text".to_owned()))
}

#[cfg(test)]
mod tests;
