//! Typed messages in datagrams, for threads.

use std::{
    io,
    time::{Duration, Instant},
};

use crosstie_core::{Codec, Endpoint, Error, Headers, Kind, Result, instant_after};
use crosstie_net::{Armed, Datagrams, FaultLog};

use super::select::{Selectable, sealed::Source};
use crate::{
    ChannelOptions, Payload,
    datagram::{DatagramStats, Reading, ReceivedDatagram, Writing},
    shared::TrySendError,
};

/// Typed messages to whoever receives at an endpoint, one in each datagram: `udp:` with its groups, `unix:`, `shm:`, `mem:`.
///
/// Nobody says hello, so each datagram carries what its receiver needs: codec, the hash of the type, number, headers. None is repeated, and nothing comes back.
/// The codec is the one that `?codec=` or [`ChannelOptions::codec`] says, else CBOR, which other versions of a type can read.
///
/// ```
/// use std::time::Duration;
/// use crosstie_link::blocking::{DatagramReceiver, DatagramSender};
/// use crosstie_macros::Schema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Schema)]
/// struct Reading { sensor: String, celsius: f64 }
///
/// let mut desk = DatagramReceiver::<Reading>::bind(&"udp://127.0.0.1:0".parse()?)?;
/// let mut sensor = DatagramSender::<Reading>::connect(desk.endpoint())?;
/// sensor.send(&Reading { sensor: "cellar".to_owned(), celsius: 11.5 })?;
///
/// let came = desk.recv_within(Duration::from_secs(5))?;
/// assert_eq!((came.value.sensor.as_str(), came.value.celsius), ("cellar", 11.5));
/// assert_eq!((came.number, came.lost, came.sender), (1, 0, sensor.id()));
///
/// // How much fits is known before, and what does not is refused before anything is sent.
/// let long = Reading { sensor: "x".repeat(sensor.max_payload()), celsius: 0.0 };
/// assert_eq!(sensor.send(&long).unwrap_err().kind(), crosstie_core::Kind::TooLarge);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct DatagramSender<S> {
    carrier: Datagrams,
    writing: Writing<S>,
}

impl<S: Payload> DatagramSender<S> {
    /// Sends to `endpoint` from now on. Nothing is sent yet, and over UDP nobody need be there. Looking up the name of a host blocks.
    ///
    /// # Errors
    ///
    /// Those of [`send_datagrams`](crosstie_net::send_datagrams) and of [`ChannelOptions::of`]; `Unsupported` for a codec that does not carry this type.
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
        Ok(Self { carrier, writing })
    }

    /// Sends a message, waiting for room no longer than the deadline. Whether it arrives nobody tells.
    ///
    /// # Errors
    ///
    /// Nothing was sent, and the next message has the same number: `TooLarge`; `InvalidInput` (the codec cannot carry this value); `Timeout`; `NoResponders` if
    /// nobody receives there, which over UDP is told of an earlier message, if at all.
    pub fn send(&mut self, value: &S) -> Result<()> {
        self.send_with(value, &Headers::new())
    }

    /// Sends a message with headers.
    ///
    /// # Errors
    ///
    /// As [`DatagramSender::send`].
    pub fn send_with(&mut self, value: &S, headers: &Headers) -> Result<()> {
        let deadline = self.writing.options.deadline;
        let bytes = self.writing.prepare(value, headers, self.carrier.max_len())?;
        match deadline {
            Some(deadline) => self.carrier.send(bytes, deadline)?,
            None => loop {
                match self.carrier.send(bytes, A_WHILE) {
                    Err(error) if error.kind() == Kind::Timeout => {}
                    outcome => break outcome?,
                }
            },
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
        let bytes = match self.writing.prepare(&value, &Headers::new(), self.carrier.max_len()) {
            Ok(bytes) => bytes,
            Err(error) => return Err(TrySendError::Failed(value, error)),
        };
        match self.carrier.try_send(bytes) {
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
        self.writing.longest(self.carrier.max_len())
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
        self.carrier.endpoint()
    }

    /// What was done on purpose so far, where this end makes [faults](crosstie_net::Faults).
    pub const fn faults(&self) -> Option<&FaultLog> {
        self.carrier.faults()
    }
}

/// Typed messages from whoever sends to an endpoint, one in each datagram.
///
/// What is lost, doubled or late is counted for each sender by itself, and told; those of one sender come in their order, each once. Memory is bounded: so many
/// senders are remembered as [`ChannelOptions::senders`] says, and of more the one who has been silent the longest is forgotten, which is counted. Who was
/// forgotten begins anew: a duplicate from before is not noticed then.
pub struct DatagramReceiver<R> {
    carrier: Datagrams,
    reading: Reading<R>,
    /// What was found for somebody who waits for several.
    ahead: Option<Result<ReceivedDatagram<R>>>,
}

impl<R: Payload> DatagramReceiver<R> {
    /// Receives at `endpoint` from now on, a multicast group among them.
    ///
    /// # Errors
    ///
    /// Those of [`receive_datagrams`](crosstie_net::receive_datagrams) and of [`ChannelOptions::of`]; `Unsupported` for a codec that does not carry this type.
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
        Ok(Self { carrier, reading, ahead: None })
    }

    /// The next message, waiting for it as long as the deadline.
    ///
    /// # Errors
    ///
    /// `Timeout`. Of one datagram, after which others may follow: `Rejected` if its sender's type or codec is not one that this side reads, with the difference
    /// as far as the sender has described its type (with its first message and then at most once a second, where there is room); `Protocol` if it is no datagram of a
    /// channel, was changed on its way, or is no message of its type; `TooLarge` if it is longer than is taken. The system's others.
    pub fn recv(&mut self) -> Result<ReceivedDatagram<R>> {
        let until = self.reading.options.deadline.map(|deadline| instant_after(Instant::now(), deadline));
        self.recv_until(until)
    }

    /// As [`DatagramReceiver::recv`], waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`DatagramReceiver::recv`].
    pub fn recv_within(&mut self, timeout: Duration) -> Result<ReceivedDatagram<R>> {
        self.recv_until(Some(instant_after(Instant::now(), timeout)))
    }

    /// A message that is there already.
    ///
    /// # Errors
    ///
    /// As [`DatagramReceiver::recv`], but `Ok(None)` instead of `Timeout`.
    pub fn try_recv(&mut self) -> Result<Option<ReceivedDatagram<R>>> {
        match self.recv_until(Some(Instant::now())) {
            Err(error) if error.kind() == Kind::Timeout => Ok(None),
            other => other.map(Some),
        }
    }

    fn recv_until(&mut self, until: Option<Instant>) -> Result<ReceivedDatagram<R>> {
        if let Some(found) = self.ahead.take() {
            return found;
        }
        // Datagrams that were here before are passed over, and nobody holds up a wait by sending them without end.
        for passed in 0_u32.. {
            let left = until.map_or(A_WHILE, |until| until.saturating_duration_since(Instant::now()));
            if passed >= PASSED_OVER && left.is_zero() {
                break;
            }
            let received = match self.carrier.receive(self.reading.room(), left) {
                Err(error) if error.kind() == Kind::Timeout && until.is_none() => continue,
                Err(error) if error.kind() == Kind::Timeout => break,
                received => received,
            };
            if let Some(message) = self.reading.take(received)? {
                return Ok(message);
            }
        }
        Err(Error::new(Kind::Timeout, "no message came in time"))
    }

    /// What has come so far.
    pub fn stats(&self) -> DatagramStats {
        self.reading.stats()
    }

    /// Where it receives, with what the system chose.
    pub const fn endpoint(&self) -> &Endpoint {
        self.carrier.endpoint()
    }

    /// What was done on purpose so far, where this end makes [faults](crosstie_net::Faults).
    pub const fn faults(&self) -> Option<&FaultLog> {
        self.carrier.faults()
    }
}

impl<R: Payload> Selectable for DatagramReceiver<R> {}

impl<R: Payload> Source for DatagramReceiver<R> {
    fn look_ahead(&mut self) -> bool {
        if self.ahead.is_none() {
            match self.recv_until(Some(Instant::now())) {
                Err(error) if error.kind() == Kind::Timeout => {}
                found => self.ahead = Some(found),
            }
        }
        self.ahead.is_some()
    }

    fn arm(&self) -> io::Result<Armed<'_>> {
        Ok(self.carrier.arm_receiving())
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// How long a wait without limit is at a time.
const A_WHILE: Duration = Duration::from_secs(3600);
/// How many are passed over though the time is up.
const PASSED_OVER: u32 = 64;
