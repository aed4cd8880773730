//! What users of datagrams hold: limits before sending, waits with an end, the same for tokio.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Error, Kind, instant_after};
use crosstie_sys::{Interest, wait_ready};
use tokio::io::unix::AsyncFd;

use super::{
    carrier::{Carrier, Received, Way},
    faulty::Faulty,
};
use crate::{
    announcement::{Announcement, announce},
    fault::{FaultLog, Faults},
    transport::Armed,
    watched::watched,
};

/// One end for datagrams: no order, no delivery, no doubling undone; what arrives is whole.
///
/// ```
/// use std::time::Duration;
///
/// let here = crosstie_net::receive_datagrams(&"udp://127.0.0.1:0".parse()?)?;
/// let there = crosstie_net::send_datagrams(here.endpoint())?;
/// there.send(b"hello", Duration::from_secs(1))?;
/// let mut buf = [0; 64];
/// let came = here.receive(&mut buf, Duration::from_secs(1))?;
/// assert_eq!(&buf[..came.len], b"hello");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Datagrams {
    carrier: Box<dyn Carrier>,
    endpoint: Endpoint,
    faults: Option<FaultLog>,
    _said: Option<Announcement>,
}

impl Datagrams {
    pub(super) fn new(carrier: impl Carrier + 'static, endpoint: Endpoint) -> Self {
        Self { carrier: Box::new(carrier), endpoint, faults: None, _said: None }
    }

    /// The same, known to `crosstie ps` from now on.
    pub(super) fn announced(self) -> Self {
        Self { _said: announce("datagram", &self.endpoint), ..self }
    }

    /// The same end, which meets faults. Its endpoint is one for others, who meet none.
    pub(crate) fn with_faults(mut self, faults: &Faults) -> Result<Self, Error> {
        let mut options = self.endpoint.options().clone();
        options.fault = None;
        self.endpoint = self.endpoint.with_options(options);
        self.carrier = Box::new(Faulty::new(self.carrier, faults.line())?);
        self.faults = Some(faults.log().clone());
        Ok(self)
    }

    /// What was done on purpose so far, if [faults](Faults) are made here.
    pub const fn faults(&self) -> Option<&FaultLog> {
        self.faults.as_ref()
    }

    /// The most bytes that one datagram carries here. Whatever is longer is refused before it is sent.
    pub fn max_len(&self) -> usize {
        self.carrier.max_len()
    }

    /// Where it receives, with the port that the system chose; or where it sends to.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends one datagram without waiting.
    ///
    /// # Errors
    ///
    /// [`Kind::TooLarge`], and nothing was sent; [`Kind::Full`] if the receiver does not keep up (Unix) or the system does not; [`Kind::NoResponders`] if
    /// nobody receives there, which over UDP is told of an earlier one, if at all.
    pub fn try_send(&self, bytes: &[u8]) -> Result<(), Error> {
        let (len, most) = (bytes.len(), self.max_len());
        if len > most {
            let text = format!("the datagram has {len} bytes, '{}' carries {most}: split it", self.endpoint);
            return Err(Error::new(Kind::TooLarge, text));
        }
        self.carrier.try_send(bytes)
    }

    /// Takes one datagram without waiting; `None` if none is there.
    ///
    /// # Errors
    ///
    /// [`Kind::TooLarge`] if it is longer than `buf`: it is gone then, and its length is told; [`Kind::NoResponders`] on a sending socket as in
    /// [`Self::try_send`].
    pub fn try_receive(&self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        self.carrier.try_receive(buf)
    }

    /// Sends one datagram, waiting for room at most `timeout`. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// [`Kind::Timeout`], and as [`Self::try_send`].
    pub fn send(&self, bytes: &[u8], timeout: Duration) -> Result<(), Error> {
        self.wait(Way::Out, timeout, || match self.try_send(bytes) {
            Err(error) if error.kind() == Kind::Full => Ok(None),
            outcome => outcome.map(Some),
        })
    }

    /// Takes one datagram, waiting for it at most `timeout`. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// [`Kind::Timeout`], and as [`Self::try_receive`].
    pub fn receive(&self, buf: &mut [u8], timeout: Duration) -> Result<Received, Error> {
        self.wait(Way::In, timeout, || self.try_receive(buf))
    }

    /// Says what to [wait for with others](crate::wait_for_any), after [`Self::try_receive`] has found nothing.
    pub fn arm_receiving(&self) -> Armed<'_> {
        Armed::of(self.carrier.ready(Way::In).0)
    }

    fn wait<T>(
        &self,
        way: Way,
        timeout: Duration,
        mut act: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let until = instant_after(Instant::now(), timeout);
        loop {
            if let Some(done) = act()? {
                return Ok(done);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let what = if way == Way::Out { "no room for another datagram" } else { "no datagram" };
                return Err(Error::new(Kind::Timeout, format!("{what} at '{}' in time", self.endpoint)));
            }
            let (descriptor, interest) = self.carrier.ready(way);
            wait_ready(descriptor, interest, Some(left))?;
        }
    }

    /// The same end for tokio. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn into_async(self) -> io::Result<AsyncDatagrams> {
        Ok(AsyncDatagrams { out: Side::new(&self, Way::Out)?, into: Side::new(&self, Way::In)?, all: self })
    }
}

/// Becomes readable once [`Datagrams::try_receive`], which found nothing, is worth another try.
impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.carrier.ready(Way::In).0
    }
}

/// One end for datagrams on tokio. It has no time limits of its own: put `tokio::time::timeout` around what waits. Futures are safe to drop.
pub struct AsyncDatagrams {
    out: Side,
    into: Side,
    all: Datagrams,
}

/// What one way waits for, under a number of its own: the two ways may be two tasks.
struct Side {
    ready: AsyncFd<OwnedFd>,
    interest: tokio::io::Interest,
}

impl Side {
    fn new(all: &Datagrams, way: Way) -> io::Result<Self> {
        let (descriptor, interest) = all.carrier.ready(way);
        let interest = match interest {
            Interest::Write => tokio::io::Interest::WRITABLE,
            _ => tokio::io::Interest::READABLE,
        };
        Ok(Self { ready: watched(descriptor.try_clone_to_owned()?, interest)?, interest })
    }

    /// Does `act` until it need not wait.
    async fn wait<T>(&self, mut act: impl FnMut() -> Result<Option<T>, Error>) -> Result<T, Error> {
        // Who always finds something lets others have their turn all the same.
        tokio::task::consume_budget().await;
        loop {
            if let Some(done) = act()? {
                return Ok(done);
            }
            // What came after the attempt is in this readiness, or in the next attempt.
            self.ready.ready(self.interest).await?.clear_ready();
        }
    }
}

impl AsyncDatagrams {
    /// Sends one datagram once there is room.
    ///
    /// # Errors
    ///
    /// As [`Datagrams::try_send`].
    pub async fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        let act = || match self.all.try_send(bytes) {
            Err(error) if error.kind() == Kind::Full => Ok(None),
            outcome => outcome.map(Some),
        };
        self.out.wait(act).await
    }

    /// Takes the next datagram.
    ///
    /// # Errors
    ///
    /// As [`Datagrams::try_receive`].
    pub async fn receive(&self, buf: &mut [u8]) -> Result<Received, Error> {
        self.into.wait(|| self.all.try_receive(buf)).await
    }

    /// As [`Self::receive`], for who waits for others besides. What is pending wakes the last who has asked.
    ///
    /// # Errors
    ///
    /// As [`Datagrams::try_receive`].
    pub fn poll_receive(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<Received, Error>> {
        loop {
            if let Some(came) = self.all.try_receive(buf)? {
                return Poll::Ready(Ok(came));
            }
            // What came after the attempt is in this readiness, or in the next attempt.
            ready!(self.into.ready.poll_read_ready(cx))?.clear_ready();
        }
    }

    /// The end itself.
    pub const fn get_ref(&self) -> &Datagrams {
        &self.all
    }
}
