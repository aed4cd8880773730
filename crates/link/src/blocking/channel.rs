//! A channel and its two halves.

use std::{
    io,
    marker::PhantomData,
    sync::Arc,
    time::{Duration, Instant},
};

use crosstie_core::{Codec, Endpoint, Headers, Kind, Result, instant_after};
#[cfg(feature = "tls")]
use crosstie_net::Certificate;
use crosstie_net::{Armed, Connection, FaultLog, Peer, connector_of_frames};

use super::{
    line::{Limit, Line},
    select::{Selectable, sealed::Source},
};
use crate::{
    ChannelOptions, ChannelStats, Payload, Received,
    faults::with_faults,
    shared::{Exchange, Input, Look, TrySendError},
    turn::{Ahead, InVain, too_late},
    waiting::Waiting,
};

/// Typed messages to and from one other process, in order, each whole and once.
///
/// It is [`connected`](Channel::connect) or [accepted](super::ChannelListener), over any endpoint that carries a stream. It sends `S` and receives `R`. Every wait ends with the channel's
/// deadline, 10 seconds unless set. Dropping it says goodbye as far as that can be done at once; [`Channel::close`] waits for it.
pub struct Channel<S, R = S> {
    sender: Sender<S>,
    receiver: Receiver<R>,
}

/// The half of a channel that sends. When it is dropped, the other side is told that no more comes.
pub struct Sender<S> {
    line: Arc<Line>,
    waiting: Waiting,
    types: PhantomData<fn(S)>,
}

/// The half of a channel that receives.
pub struct Receiver<R> {
    line: Arc<Line>,
    input: Input,
    ahead: Ahead<R>,
    types: PhantomData<fn() -> R>,
}

/// How long the other side is listened to at a time while it does not take all of a hello.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl<S: Payload, R: Payload> Channel<S, R> {
    /// Connects to whoever listens at `endpoint`, and agrees with them on types and codec.
    ///
    /// # Errors
    ///
    /// Those of [`connector`](crosstie_net::connector) and of [`ChannelOptions::of`]; `Rejected` with the difference if the two sides' types or codecs do not fit;
    /// `Timeout` if the other side says no hello in time; `Protocol` if it speaks something else.
    pub fn connect(endpoint: &Endpoint) -> Result<Self> {
        Self::connect_with(endpoint, ChannelOptions::of(endpoint)?)
    }

    /// As [`Channel::connect`], with options from the program where `endpoint` says nothing.
    ///
    /// # Errors
    ///
    /// As [`Channel::connect`].
    pub fn connect_with(endpoint: &Endpoint, options: ChannelOptions) -> Result<Self> {
        let options = options.said_by(endpoint)?;
        let connection = connector_of_frames(endpoint)?.connect(options.connect_timeout)?;
        Self::over(connection, options)
    }

    /// A channel over a connection that is there already. Whoever is at its other end does the same.
    ///
    /// # Errors
    ///
    /// As [`Channel::connect`].
    pub fn over(connection: Connection, options: ChannelOptions) -> Result<Self> {
        let connection = with_faults(connection, &options)?;
        let exchange = Exchange::new::<S, R>(options)?;
        let line = Arc::new(Line::new(connection, exchange));
        let mut receiver = Receiver::new(Arc::clone(&line));
        let until = instant_after(Instant::now(), line.exchange.options.connect_timeout);
        receiver.greet(until)?;
        Ok(Self { sender: Sender { line, waiting: Waiting::default(), types: PhantomData }, receiver })
    }

    /// Sends a message. When it returns, the message has been handed to the system; whether the other side has it, only an answer tells.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn send(&mut self, value: &S) -> Result<()> {
        self.sender.send(value)
    }

    /// The next message.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    pub fn recv(&mut self) -> Result<Received<R>> {
        self.receiver.recv()
    }

    /// The half that sends.
    pub const fn sender(&mut self) -> &mut Sender<S> {
        &mut self.sender
    }

    /// The half that receives.
    pub const fn receiver(&mut self) -> &mut Receiver<R> {
        &mut self.receiver
    }

    /// Both halves, for two threads.
    pub fn split(self) -> (Sender<S>, Receiver<R>) {
        (self.sender, self.receiver)
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.receiver.line.connection.peer()
    }

    /// The certificate with which the other end has proved who it is: over `tls:`, and of a client that was asked for one.
    #[cfg(feature = "tls")]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.receiver.line.connection.certificate()
    }

    /// The codecs in use: of what is sent, and of what is received.
    pub fn codecs(&self) -> Option<(Codec, Codec)> {
        self.receiver.line.exchange.terms().map(|terms| (terms.sending.codec, terms.receiving.codec))
    }

    /// What has come so far.
    pub fn stats(&self) -> ChannelStats {
        self.receiver.stats()
    }

    /// What was done on purpose so far, where this end makes [faults](crosstie_net::Faults).
    pub fn faults(&self) -> Option<&FaultLog> {
        self.receiver.line.connection.faults()
    }

    /// Writes what waits, says goodbye with a reason (or none: ""), and ends the connection.
    ///
    /// # Errors
    ///
    /// As [`Sender::flush`].
    pub fn close(self, why: &str) -> Result<()> {
        let line = &self.sender.line;
        line.exchange.session().goodbye(why);
        line.flush(Limit::Deadline)
    }
}

impl<S: Payload> Sender<S> {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// `TooLarge`, `InvalidInput` (the codec cannot carry this value), `Closed`: nothing was sent. `Timeout`: it waits to be written, and the next call goes on
    /// with it. `Disconnected`, `PeerDied`: it may have arrived.
    pub fn send(&mut self, value: &S) -> Result<()> {
        self.feed(value)?;
        self.flush()
    }

    /// Sends a message with headers.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn send_with(&mut self, value: &S, headers: &Headers) -> Result<()> {
        self.feed_with(value, headers)?;
        self.flush()
    }

    /// Puts a message among those that wait to be written, which happens by [`Sender::flush`], or when 32 KiB of them wait. Many small messages go much
    /// faster so.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`], but `Timeout` means here that the message was not taken.
    pub fn feed(&mut self, value: &S) -> Result<()> {
        self.feed_with(value, &Headers::new())
    }

    /// As [`Sender::feed`], with headers.
    ///
    /// # Errors
    ///
    /// As [`Sender::feed`].
    pub fn feed_with(&mut self, value: &S, headers: &Headers) -> Result<()> {
        if self.waiting.is_full(&self.line.exchange.options) {
            self.flush()?;
        }
        self.waiting.add(self.line.exchange.queue(value, headers)?);
        if self.waiting.is_worth_writing() {
            // It was taken, and goes on waiting if it does not go now. What is wrong with the connection shows at the next call.
            let _ = self.flush_until(Limit::Now);
        }
        Ok(())
    }

    /// Sends a message if that can be done at once; else gives it back.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]
    pub fn try_send(&mut self, value: S) -> std::result::Result<(), TrySendError<S>> {
        match self.try_flush() {
            Ok(()) => {}
            Err(error) => return Err(TrySendError::Failed(value, error)),
        }
        if self.waiting.is_full(&self.line.exchange.options) {
            return Err(TrySendError::Full(value));
        }
        match self.line.exchange.queue(&value, &Headers::new()) {
            Ok(pending) => self.waiting.add(pending),
            Err(error) => return Err(TrySendError::Failed(value, error)),
        }
        // It was taken. What is wrong with the connection shows at the next call.
        let _ = self.try_flush();
        Ok(())
    }

    fn try_flush(&mut self) -> Result<()> {
        match self.flush_until(Limit::Now) {
            Err(error) if error.kind() == Kind::Timeout => Ok(()),
            result => result,
        }
    }

    fn flush_until(&mut self, limit: Limit) -> Result<()> {
        let result = self.line.flush(limit);
        if result.is_ok() {
            self.waiting.went();
        } else {
            let (left, pending) = self.line.unwritten();
            self.waiting.stayed(left, pending);
        }
        result
    }

    /// Writes what waits.
    ///
    /// # Errors
    ///
    /// `Timeout`: what is left goes on waiting. `Disconnected`, `PeerDied`.
    pub fn flush(&mut self) -> Result<()> {
        self.flush_until(Limit::Deadline)
    }

    /// Says that no more messages come, after those that wait. The other direction goes on.
    ///
    /// # Errors
    ///
    /// As [`Sender::flush`].
    pub fn finish(self) -> Result<()> {
        self.line.exchange.session().finish();
        self.line.flush(Limit::Deadline)
    }
}

impl<S> Drop for Sender<S> {
    fn drop(&mut self) {
        self.line.exchange.session().finish();
        let _ = self.line.flush(Limit::Now);
    }
}

impl<R: Payload> Receiver<R> {
    /// The next message, waiting for it as long as the channel's deadline.
    ///
    /// # Errors
    ///
    /// `Timeout`; `Closed` after the last message or a goodbye; `Disconnected` if the connection was lost, `PeerDied` if the other process is proved to be dead;
    /// `Protocol` if what came is no message of this type, after which others may follow.
    pub fn recv(&mut self) -> Result<Received<R>> {
        let there = match self.ahead.take() {
            Some(found) => Some(found),
            None => self.look().map(message).transpose(),
        };
        // Whoever need not wait reads no clock.
        let found = there.unwrap_or_else(|| {
            let until = self.line.until();
            self.read(until, self.line.exchange.options.deadline).and_then(|()| self.next(until))
        });
        self.ahead.told(found, self.input.has_ended())
    }

    /// As [`Receiver::recv`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    pub fn recv_within(&mut self, timeout: Duration) -> Result<Received<R>> {
        self.recv_until(Some(instant_after(Instant::now(), timeout)))
    }

    /// A message that is there already.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`], but `Ok(None)` instead of `Timeout`.
    pub fn try_recv(&mut self) -> Result<Option<Received<R>>> {
        match self.recv_until(Some(Instant::now())) {
            Err(error) if error.kind() == Kind::Timeout => Ok(None),
            other => other.map(Some),
        }
    }

    /// What has come so far.
    pub fn stats(&self) -> ChannelStats {
        self.line.exchange.stats()
    }

    /// True once nothing more comes, and each `recv` says why: so an error of one message is told from the end.
    pub const fn has_ended(&self) -> bool {
        self.input.has_ended() && !self.ahead.is_there()
    }

    fn new(line: Arc<Line>) -> Self {
        Self { line, input: Input::default(), ahead: Ahead::default(), types: PhantomData }
    }

    fn recv_until(&mut self, until: Option<Instant>) -> Result<Received<R>> {
        let found = match self.ahead.take() {
            Some(found) => found,
            None => self.next(until),
        };
        self.ahead.told(found, self.input.has_ended())
    }

    fn next(&mut self, until: Option<Instant>) -> Result<Received<R>> {
        let mut in_vain = InVain::default();
        loop {
            if let Some(message) = message(self.step(until)?) {
                return Ok(message);
            }
            if in_vain.again() && until.is_some_and(|until| Instant::now() >= until) {
                return Err(too_late());
            }
        }
    }

    /// Says hello, and hears the other side's. Two who had much to say of themselves, and only wrote until it is said, would wait for each other.
    fn greet(&mut self, until: Instant) -> Result<()> {
        let (mut pause, mut is_open) = (FIRST_PAUSE, false);
        while !is_open {
            let now = Instant::now();
            let has_said = match self.line.flush(Limit::Now) {
                Err(error) if error.kind() == Kind::Timeout && now < until => false,
                said => said.map(|()| true)?,
            };
            let heard = self.step(Some(if has_said { until } else { until.min(now + pause) }));
            is_open = match heard {
                Err(error) if error.kind() == Kind::Timeout && !has_said && !self.input.has_ended() => false,
                heard => matches!(heard?, Some(Look::Opened)),
            };
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
        // Whoever has said all of its hello reads now.
        self.line.flush(Limit::At(until))
    }

    /// Looks at what is there, or reads once.
    fn step(&mut self, until: Option<Instant>) -> Result<Option<Look<R>>> {
        let look = self.look()?;
        if look.is_none() {
            self.read(until, until.map(|until| until.saturating_duration_since(Instant::now())))?;
        }
        Ok(look)
    }

    /// Looks at what is there.
    #[inline]
    fn look(&mut self) -> Result<Option<Look<R>>> {
        match self.input.look(&self.line.exchange) {
            Ok(Look::Nothing) => Ok(None),
            Ok(look) => Ok(Some(look)),
            Err(error) => {
                // A refusal goes out, so that the other side can say it too.
                let _ = self.line.flush(Limit::Now);
                Err(error)
            }
        }
    }

    /// Reads once, with so much time `left` as there is `until` then.
    fn read(&mut self, until: Option<Instant>, left: Option<Duration>) -> Result<()> {
        let due = match self.line.due() {
            Ok(due) => due,
            Err(error) => return Err(self.input.end(error.kind(), error.to_string())),
        };
        let due = due.map(|due| due.saturating_duration_since(Instant::now()));
        let left = [left, due].into_iter().flatten().min();
        match self.line.connection.read_within(self.input.room(), left) {
            Ok(0) => {
                let error = self.line.connection.explain(io::ErrorKind::UnexpectedEof.into());
                Err(self.input.end(error.kind(), error.to_string()))
            }
            Ok(count) => {
                self.input.read(count, self.line.exchange.heard());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                if until.is_some_and(|until| Instant::now() >= until) {
                    return Err(too_late());
                }
                Ok(())
            }
            Err(error) => {
                let error = self.line.connection.explain(error);
                Err(self.input.end(error.kind(), error.to_string()))
            }
        }
    }
}

/// The message of a look. That the channel is open is known.
#[inline]
fn message<R>(look: Option<Look<R>>) -> Option<Received<R>> {
    match look {
        Some(Look::Message(message)) => Some(message),
        _ => None,
    }
}

impl<R: Payload> Selectable for Receiver<R> {}

impl<R: Payload> Source for Receiver<R> {
    fn look_ahead(&mut self) -> bool {
        if !self.ahead.is_there() && !self.ahead.is_over() {
            match self.next(Some(Instant::now())) {
                Err(error) if error.kind() == Kind::Timeout && !self.input.has_ended() => {}
                found => self.ahead.put(found),
            }
        }
        self.ahead.is_there()
    }

    fn arm(&self) -> io::Result<Armed<'_>> {
        self.line.connection.arm_reading()
    }

    fn due(&self) -> Option<Instant> {
        // What is wrong is found by the next look.
        self.line.due().unwrap_or_else(|_| Some(Instant::now()))
    }

    fn is_over(&self) -> bool {
        self.ahead.is_over()
    }
}
