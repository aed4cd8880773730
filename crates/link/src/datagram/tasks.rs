//! Typed messages in datagrams, for tasks.

use std::{
    pin::pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use crosstie_core::{Codec, Endpoint, Error, Headers, Kind, Result, instant_after};
use crosstie_net::{AsyncDatagrams, FaultLog};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    reading::{DatagramStats, Reading, ReceivedDatagram},
    writing::Writing,
};
use crate::{
    ChannelOptions, Payload,
    select::{Selectable, sealed::Source},
    shared::TrySendError,
};

/// Typed messages to whoever receives at an endpoint, one in each datagram, for async programs.
///
/// [`blocking::DatagramSender`](crate::blocking::DatagramSender) is the same for threads, and says what each call means.
pub struct DatagramSender<S> {
    carrier: AsyncDatagrams,
    writing: Writing<S>,
}

impl<S: Payload> DatagramSender<S> {
    /// Sends to `endpoint` from now on. Nothing is sent yet. Must be called within a runtime; looking up the name of a host blocks.
    ///
    /// # Errors
    ///
    /// As [`blocking::DatagramSender::connect`](crate::blocking::DatagramSender::connect).
    pub fn connect(endpoint: &Endpoint) -> Result<Self> {
        Self::connect_with(endpoint, ChannelOptions::of(endpoint)?)
    }

    /// As [`DatagramSender::connect`], with options from the program where `endpoint` says nothing.
    ///
    /// # Errors
    ///
    /// As [`DatagramSender::connect`].
    pub fn connect_with(endpoint: &Endpoint, options: ChannelOptions) -> Result<Self> {
        let (writing, carrier) = Writing::open(endpoint, options)?;
        Ok(Self { carrier: carrier.into_async()?, writing })
    }

    /// Sends a message, waiting for room no longer than the deadline.
    ///
    /// # Errors
    ///
    /// As [`blocking::DatagramSender::send`](crate::blocking::DatagramSender::send).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, nothing was sent.
    pub async fn send(&mut self, value: &S) -> Result<()> {
        self.send_with(value, &Headers::new()).await
    }

    /// Sends a message with headers.
    ///
    /// # Errors
    ///
    /// As [`DatagramSender::send`].
    pub async fn send_with(&mut self, value: &S, headers: &Headers) -> Result<()> {
        let deadline = self.writing.options.deadline;
        let bytes = self.writing.prepare(value, headers, self.carrier.get_ref().max_len())?;
        let sending = self.carrier.send(bytes);
        match deadline {
            None => sending.await?,
            Some(deadline) => timeout(deadline, sending).await.map_err(|_| {
                let at = self.carrier.get_ref().endpoint();
                Error::new(Kind::Timeout, format!("no room for another datagram at '{at}' within {deadline:?}"))
            })??,
        }
        self.writing.sent();
        Ok(())
    }

    /// Sends a message if there is room at once; else gives it back.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]
    pub fn try_send(&mut self, value: S) -> std::result::Result<(), TrySendError<S>> {
        let bytes = match self.writing.prepare(&value, &Headers::new(), self.carrier.get_ref().max_len()) {
            Ok(bytes) => bytes,
            Err(error) => return Err(TrySendError::Failed(value, error)),
        };
        match self.carrier.get_ref().try_send(bytes) {
            Ok(()) => {
                self.writing.sent();
                Ok(())
            }
            Err(error) if error.kind() == Kind::Full => Err(TrySendError::Full(value)),
            Err(error) => Err(TrySendError::Failed(value, error)),
        }
    }

    /// The longest payload of a message without headers. More is refused before anything is sent.
    pub fn max_payload(&self) -> usize {
        self.writing.longest(self.carrier.get_ref().max_len())
    }

    /// The codec that payloads are written in.
    pub const fn codec(&self) -> Codec {
        self.writing.codec()
    }

    /// What receivers see as [`ReceivedDatagram::sender`].
    pub const fn id(&self) -> u64 {
        self.writing.id()
    }

    /// Where it sends to.
    pub const fn endpoint(&self) -> &Endpoint {
        self.carrier.get_ref().endpoint()
    }

    /// What was done on purpose so far, where this end makes [faults](crosstie_net::Faults).
    pub const fn faults(&self) -> Option<&FaultLog> {
        self.carrier.get_ref().faults()
    }
}

/// Typed messages from whoever sends to an endpoint, one in each datagram, for async programs.
///
/// [`blocking::DatagramReceiver`](crate::blocking::DatagramReceiver) is the same for threads, and says what each call means.
pub struct DatagramReceiver<R> {
    carrier: AsyncDatagrams,
    reading: Reading<R>,
    /// What was found for somebody who waits for several.
    ahead: Option<Result<ReceivedDatagram<R>>>,
}

impl<R: Payload> DatagramReceiver<R> {
    /// Receives at `endpoint` from now on. Must be called within a runtime; looking up the name of a host blocks.
    ///
    /// # Errors
    ///
    /// As [`blocking::DatagramReceiver::bind`](crate::blocking::DatagramReceiver::bind).
    pub fn bind(endpoint: &Endpoint) -> Result<Self> {
        Self::bind_with(endpoint, ChannelOptions::of(endpoint)?)
    }

    /// As [`DatagramReceiver::bind`], with options from the program where `endpoint` says nothing.
    ///
    /// # Errors
    ///
    /// As [`DatagramReceiver::bind`].
    pub fn bind_with(endpoint: &Endpoint, options: ChannelOptions) -> Result<Self> {
        let (reading, carrier) = Reading::open(endpoint, options)?;
        Ok(Self { carrier: carrier.into_async()?, reading, ahead: None })
    }

    /// The next message, waiting for it as long as the deadline.
    ///
    /// # Errors
    ///
    /// As [`blocking::DatagramReceiver::recv`](crate::blocking::DatagramReceiver::recv).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no message.
    pub async fn recv(&mut self) -> Result<ReceivedDatagram<R>> {
        let until = self.reading.options.deadline.map(|deadline| instant_after(Instant::now(), deadline));
        self.recv_until(until).await
    }

    /// As [`DatagramReceiver::recv`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`DatagramReceiver::recv`].
    pub async fn recv_within(&mut self, timeout: Duration) -> Result<ReceivedDatagram<R>> {
        self.recv_until(Some(instant_after(Instant::now(), timeout))).await
    }

    /// A message that is there already, as far as the runtime has seen to it: who asks again and again lets other tasks run meanwhile.
    ///
    /// # Errors
    ///
    /// As [`DatagramReceiver::recv`], but `Ok(None)` instead of `Timeout`.
    pub fn try_recv(&mut self) -> Result<Option<ReceivedDatagram<R>>> {
        match pin!(self.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => found.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    async fn recv_until(&mut self, until: Option<Instant>) -> Result<ReceivedDatagram<R>> {
        match until {
            None => self.next().await,
            Some(until) => {
                let late = |_| Error::new(Kind::Timeout, "no message came in time");
                timeout_at(until, self.next()).await.map_err(late)?
            }
        }
    }

    async fn next(&mut self) -> Result<ReceivedDatagram<R>> {
        if let Some(found) = self.ahead.take() {
            return found;
        }
        loop {
            let received = self.carrier.receive(self.reading.room()).await;
            if let Some(message) = self.reading.take(received)? {
                return Ok(message);
            }
        }
    }

    /// What has come so far.
    pub fn stats(&self) -> DatagramStats {
        self.reading.stats()
    }

    /// Where it receives, with what the system chose.
    pub const fn endpoint(&self) -> &Endpoint {
        self.carrier.get_ref().endpoint()
    }

    /// What was done on purpose so far, where this end makes [faults](crosstie_net::Faults).
    pub const fn faults(&self) -> Option<&FaultLog> {
        self.carrier.get_ref().faults()
    }
}

impl<R: Payload + Send> Selectable for DatagramReceiver<R> {}

impl<R: Payload + Send> Source for DatagramReceiver<R> {
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..PASSED_OVER {
            if self.ahead.is_some() {
                return Poll::Ready(());
            }
            let received = ready!(self.carrier.poll_receive(cx, self.reading.room()));
            self.ahead = self.reading.take(received).transpose();
        }
        // There may be more that were here before: others have their turn first.
        cx.waker().wake_by_ref();
        if self.ahead.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn tend(&mut self) -> Option<Instant> {
        None
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// How many that were here before are passed over at once.
const PASSED_OVER: u32 = 64;
