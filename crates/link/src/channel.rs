//! A channel for tasks, and its two halves.

use std::{
    future::poll_fn,
    io,
    marker::PhantomData,
    pin::{Pin, pin},
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use crosstie_core::{Codec, Endpoint, Error, Headers, Result, instant_after};
#[cfg(feature = "tls")]
use crosstie_net::Certificate;
use crosstie_net::{AsyncReader, Connection, FaultLog, Peer, connector_of_frames};
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    time::{Instant, timeout_at},
};

use crate::{
    ChannelOptions, ChannelStats, Payload, Received,
    faults::with_faults,
    line::Line,
    select::{Selectable, sealed::Source},
    shared::{Exchange, Input, Look, TrySendError},
    turn::{Ahead, InVain, too_late},
    waiting::Waiting,
};

/// Typed messages to and from one other process, in order, each whole and once, for async programs.
///
/// [`blocking::Channel`](crate::blocking::Channel) is the same for threads, and says what each call means; the two speak to each other. Every wait ends with the
/// channel's deadline, 10 seconds unless set.
///
/// # Cancel safety
///
/// Dropping the future of a `recv` loses no message. Dropping that of a `send` leaves the message unsent or among those that wait; the next call writes them.
pub struct Channel<S, R = S> {
    sender: Sender<S>,
    receiver: Receiver<R>,
}

/// The half of a channel that sends. When it is dropped, the other side is told that no more comes, as far as that goes at once.
pub struct Sender<S> {
    line: Arc<Line>,
    waiting: Waiting,
    types: PhantomData<fn(S)>,
}

/// The half of a channel that receives.
pub struct Receiver<R> {
    line: Arc<Line>,
    reader: AsyncReader,
    input: Input,
    ahead: Ahead<R>,
    explaining: Explaining,
    types: PhantomData<fn() -> R>,
}

/// The words for an end that a wait for several has met. The lock is never waited for: it lets other threads have the receiver's address.
type Explaining = std::sync::Mutex<Option<Pin<Box<dyn Future<Output = Error> + Send>>>>;

impl<S: Payload, R: Payload> Channel<S, R> {
    /// Connects to whoever listens at `endpoint`, and agrees with them on types and codec.
    ///
    /// # Errors
    ///
    /// As [`blocking::Channel::connect`](crate::blocking::Channel::connect).
    pub async fn connect(endpoint: &Endpoint) -> Result<Self> {
        Self::connect_with(endpoint, ChannelOptions::of(endpoint)?).await
    }

    /// As [`Channel::connect`], with options from the program where `endpoint` says nothing.
    ///
    /// # Errors
    ///
    /// As [`Channel::connect`].
    pub async fn connect_with(endpoint: &Endpoint, options: ChannelOptions) -> Result<Self> {
        let options = options.said_by(endpoint)?;
        let connection = connector_of_frames(endpoint)?.connect_async(options.connect_timeout).await?;
        Self::over(connection, options).await
    }

    /// A channel over a connection that is there already. Whoever is at its other end does the same.
    ///
    /// # Errors
    ///
    /// As [`Channel::connect`].
    pub async fn over(connection: Connection, options: ChannelOptions) -> Result<Self> {
        let connection = with_faults(connection, &options)?;
        let exchange = Exchange::new::<S, R>(options)?;
        let (reader, writer) = connection.into_async()?.into_split();
        let line = Arc::new(Line::new(exchange, writer));
        let mut receiver = Receiver::new(Arc::clone(&line), reader);
        let until = Some(instant_after(Instant::now(), line.exchange.options.connect_timeout));
        receiver.greet(until).await?;
        Ok(Self { sender: Sender { line, waiting: Waiting::default(), types: PhantomData }, receiver })
    }

    /// Sends a message. When it returns, the message has been handed to the system.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn send(&mut self, value: &S) -> Result<()> {
        self.sender.send(value).await
    }

    /// The next message.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    pub async fn recv(&mut self) -> Result<Received<R>> {
        self.receiver.recv().await
    }

    /// The half that sends.
    pub const fn sender(&mut self) -> &mut Sender<S> {
        &mut self.sender
    }

    /// The half that receives.
    pub const fn receiver(&mut self) -> &mut Receiver<R> {
        &mut self.receiver
    }

    /// Both halves, for two tasks.
    pub fn split(self) -> (Sender<S>, Receiver<R>) {
        (self.sender, self.receiver)
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.receiver.reader.peer()
    }

    /// The certificate with which the other end has proved who it is: over `tls:`, and of a client that was asked for one.
    #[cfg(feature = "tls")]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.receiver.reader.certificate()
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
        self.receiver.reader.faults()
    }

    /// Writes what waits, says goodbye with a reason (or none: ""), and ends the connection.
    ///
    /// # Errors
    ///
    /// As [`Sender::flush`].
    pub async fn close(self, why: &str) -> Result<()> {
        let line = &self.sender.line;
        line.exchange.session().goodbye(why);
        line.flush(line.until()).await
    }
}

impl<S: Payload> Sender<S> {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// As [`blocking::Sender::send`](crate::blocking::Sender::send).
    pub async fn send(&mut self, value: &S) -> Result<()> {
        self.feed(value).await?;
        self.flush().await
    }

    /// Sends a message with headers.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn send_with(&mut self, value: &S, headers: &Headers) -> Result<()> {
        self.feed_with(value, headers).await?;
        self.flush().await
    }

    /// Puts a message among those that wait to be written, which happens by [`Sender::flush`], or when 32 KiB of them wait.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`], but `Timeout` means here that the message was not taken.
    pub async fn feed(&mut self, value: &S) -> Result<()> {
        self.feed_with(value, &Headers::new()).await
    }

    /// As [`Sender::feed`], with headers.
    ///
    /// # Errors
    ///
    /// As [`Sender::feed`].
    pub async fn feed_with(&mut self, value: &S, headers: &Headers) -> Result<()> {
        if self.waiting.is_full(&self.line.exchange.options) {
            self.flush().await?;
        }
        self.waiting.add(self.line.exchange.queue(value, headers)?);
        if self.waiting.is_worth_writing() {
            // It was taken, and goes on waiting if it does not go now. What is wrong with the connection shows at the next call.
            let _ = self.write_some();
        }
        Ok(())
    }

    /// Sends a message if that can be done at once; else gives it back.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]. A lost connection is `Disconnected` here: proof of a death is waited for by [`Sender::flush`].
    pub fn try_send(&mut self, value: S) -> std::result::Result<(), TrySendError<S>> {
        if let Err(error) = self.write_some() {
            return Err(TrySendError::Failed(value, error));
        }
        if self.waiting.is_full(&self.line.exchange.options) {
            return Err(TrySendError::Full(value));
        }
        match self.line.exchange.queue(&value, &Headers::new()) {
            Ok(pending) => self.waiting.add(pending),
            Err(error) => return Err(TrySendError::Failed(value, error)),
        }
        // It was taken. What is wrong with the connection shows at the next call.
        let _ = self.write_some();
        Ok(())
    }

    fn write_some(&mut self) -> Result<()> {
        match self.line.write_some()? {
            (0, 0) => self.waiting.went(),
            (left, pending) => self.waiting.stayed(left, pending),
        }
        Ok(())
    }

    /// Writes what waits.
    ///
    /// # Errors
    ///
    /// `Timeout`: what is left goes on waiting. `Disconnected`, `PeerDied`.
    pub async fn flush(&mut self) -> Result<()> {
        self.line.flush(self.line.until()).await?;
        self.waiting.went();
        Ok(())
    }

    /// Says that no more messages come, after those that wait. The other direction goes on.
    ///
    /// # Errors
    ///
    /// As [`Sender::flush`].
    pub async fn finish(self) -> Result<()> {
        self.line.exchange.session().finish();
        self.line.flush(self.line.until()).await
    }
}

impl<S> Drop for Sender<S> {
    fn drop(&mut self) {
        self.line.exchange.session().finish();
        self.line.answer();
    }
}

impl<R: Payload> Receiver<R> {
    /// The next message, waiting for it as long as the channel's deadline.
    ///
    /// # Errors
    ///
    /// As [`blocking::Receiver::recv`](crate::blocking::Receiver::recv).
    pub async fn recv(&mut self) -> Result<Received<R>> {
        let until = self.line.until();
        self.recv_until(until).await
    }

    /// As [`Receiver::recv`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    pub async fn recv_within(&mut self, timeout: Duration) -> Result<Received<R>> {
        self.recv_until(Some(instant_after(Instant::now(), timeout))).await
    }

    /// What has come so far.
    pub fn stats(&self) -> ChannelStats {
        self.line.exchange.stats()
    }

    /// True once nothing more comes, and each `recv` says why: so an error of one message is told from the end.
    pub const fn has_ended(&self) -> bool {
        self.input.has_ended() && !self.ahead.is_there()
    }

    fn new(line: Arc<Line>, reader: AsyncReader) -> Self {
        let explaining = Explaining::default();
        Self { line, reader, input: Input::default(), ahead: Ahead::default(), explaining, types: PhantomData }
    }

    async fn recv_until(&mut self, until: Option<Instant>) -> Result<Received<R>> {
        let found = match self.ahead.take() {
            Some(found) => found,
            None => self.next(until).await,
        };
        self.ahead.told(found, self.input.has_ended())
    }

    async fn next(&mut self, until: Option<Instant>) -> Result<Received<R>> {
        let mut in_vain = InVain::default();
        loop {
            if let Some(Look::Message(message)) = self.step(until).await? {
                return Ok(message);
            }
            if in_vain.again() {
                if until.is_some_and(|until| Instant::now() >= until) {
                    return Err(too_late());
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Says hello, and hears the other side's meanwhile: two who had much to say of themselves, and only wrote until it is said, would wait for each other.
    async fn greet(&mut self, until: Option<Instant>) -> Result<()> {
        let line = Arc::clone(&self.line);
        let mut saying = pin!(line.flush(until));
        let mut hearing = pin!(async {
            while !matches!(self.step(until).await?, Some(Look::Opened)) {}
            Ok::<_, Error>(())
        });
        let (mut has_said, mut has_heard) = (false, false);
        poll_fn(|cx| {
            if !has_said && let Poll::Ready(said) = saying.as_mut().poll(cx) {
                said?;
                has_said = true;
            }
            if !has_heard && let Poll::Ready(heard) = hearing.as_mut().poll(cx) {
                heard?;
                has_heard = true;
            }
            if has_said && has_heard { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Looks at what is there, or reads once.
    async fn step(&mut self, until: Option<Instant>) -> Result<Option<Look<R>>> {
        match self.input.look(&self.line.exchange) {
            Ok(Look::Nothing) => {}
            Ok(look) => return Ok(Some(look)),
            Err(error) => {
                // A refusal goes out, so that the other side can say it too.
                self.line.answer();
                return Err(error);
            }
        }
        let due = match self.line.due() {
            Ok(due) => due,
            Err(error) => return Err(self.input.end(error.kind(), error.to_string())),
        };
        let earliest = match (until, due) {
            (Some(until), Some(due)) => Some(until.min(due)),
            (until, due) => until.or(due),
        };
        let reading = self.reader.read(self.input.room());
        let read = match earliest {
            None => reading.await,
            Some(earliest) => match timeout_at(earliest, reading).await {
                Ok(read) => read,
                Err(_) if until.is_some_and(|until| Instant::now() >= until) => {
                    return Err(too_late());
                }
                Err(_) => return Ok(None),
            },
        };
        let error = match read {
            Ok(0) => io::ErrorKind::UnexpectedEof.into(),
            Ok(count) => {
                self.input.read(count, self.line.exchange.heard());
                return Ok(None);
            }
            Err(error) => error,
        };
        let error = self.reader.explain(error).await;
        Err(self.input.end(error.kind(), error.to_string()))
    }
}

impl<R: Payload + Send> Receiver<R> {
    /// A message that is there already, as far as the runtime has seen to it: who asks again and again lets other tasks run meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`], but `Ok(None)` instead of `Timeout`.
    pub fn try_recv(&mut self) -> Result<Option<Received<R>>> {
        self.tend();
        // Whoever waits later leaves a waker of its own.
        let _ = self.poll_ahead(&mut Context::from_waker(Waker::noop()));
        match self.ahead.take() {
            Some(found) => self.ahead.told(found, self.input.has_ended()).map(Some),
            None if self.input.has_ended() => self.input.look::<R>(&self.line.exchange).map(|_| None),
            None => Ok(None),
        }
    }
}

impl<R: Payload + Send> Selectable for Receiver<R> {}

impl<R: Payload + Send> Source for Receiver<R> {
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut in_vain = InVain::default();
        while !self.ahead.is_there() {
            if self.ahead.is_over() {
                return Poll::Pending;
            }
            let explaining = self.explaining.get_mut().unwrap_or_else(PoisonError::into_inner);
            if let Some(words) = explaining {
                let error = ready!(words.as_mut().poll(cx));
                *explaining = None;
                self.ahead.put(Err(self.input.end(error.kind(), error.to_string())));
                continue;
            }
            match self.input.look(&self.line.exchange) {
                Ok(Look::Message(message)) => self.ahead.put(Ok(message)),
                Ok(Look::Opened) => {}
                Ok(Look::Nothing) => {
                    if in_vain.again() {
                        // It goes on, after the others and the clock.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    // A question of the other side is answered before there is nothing to do.
                    self.line.answer();
                    let mut buf = ReadBuf::new(self.input.room());
                    let read = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buf));
                    let error = match (read, buf.filled().len()) {
                        (Ok(()), 0) => io::ErrorKind::UnexpectedEof.into(),
                        (Ok(()), count) => {
                            self.input.read(count, self.line.exchange.heard());
                            continue;
                        }
                        (Err(error), _) => error,
                    };
                    *explaining = Some(Box::pin(self.reader.explain(error)));
                }
                Err(error) => {
                    // A refusal goes out, so that the other side can say it too.
                    self.line.answer();
                    self.ahead.put(Err(error));
                }
            }
        }
        Poll::Ready(())
    }

    fn tend(&mut self) -> Option<Instant> {
        if self.ahead.is_there() || self.input.has_ended() {
            return None;
        }
        match self.line.due() {
            Ok(due) => due,
            Err(error) => {
                self.ahead.put(Err(self.input.end(error.kind(), error.to_string())));
                None
            }
        }
    }

    fn is_over(&self) -> bool {
        self.ahead.is_over()
    }
}
