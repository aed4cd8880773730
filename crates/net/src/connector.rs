//! The active side of every scheme: an attempt that never blocks, and two ways to drive it.

use std::{
    future::Future,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    pin::Pin,
    thread,
    time::{Duration, Instant},
};

use crosstie_core::{Error, Kind, instant_after};
use crosstie_sys::{Interest, wait_ready};
use tokio::io::unix::AsyncFd;

use crate::{capabilities::Capabilities, connection::Connection, watched::watched};

const EITHER: tokio::io::Interest = tokio::io::Interest::READABLE.add(tokio::io::Interest::WRITABLE);

/// A way to a listener, to be gone any number of times.
pub trait Connector: Send + Sync {
    /// Begins an attempt. Nothing blocks.
    ///
    /// # Errors
    ///
    /// [`Kind::NoResponders`] if nobody listens there, others of the operating system.
    fn begin(&self) -> Result<Box<dyn Attempt>, Error>;

    /// What its connections can do.
    fn capabilities(&self) -> &'static Capabilities;
}

/// One attempt to connect. Dropping it gives up at once.
pub trait Attempt: Send {
    /// Goes on as far as it can. After [`Progress::Wait`] it is called again once the descriptor is ready, after [`Progress::Pause`] once that time
    /// has passed; earlier does no harm.
    ///
    /// # Errors
    ///
    /// As [`Connector::begin`]; the attempt is over then.
    fn advance(&mut self) -> Result<Progress, Error>;

    /// What [`Progress::Wait`] waits for. It may be another one after every step.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// How far an attempt has got.
pub enum Progress {
    /// It is there.
    Done(Connection),
    /// It goes on when its descriptor is ready.
    Wait(Interest),
    /// It goes on after a while.
    Pause(Duration),
}

impl dyn Connector + '_ {
    /// Connects within `timeout`. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// [`Kind::Timeout`], and as [`Connector::begin`].
    pub fn connect(&self, timeout: Duration) -> Result<Connection, Error> {
        let until = instant_after(Instant::now(), timeout);
        let mut attempt = self.begin()?;
        loop {
            let progress = attempt.advance()?;
            let left = until.saturating_duration_since(Instant::now());
            match progress {
                Progress::Done(connection) => return Ok(connection),
                _ if left.is_zero() => return Err(self.too_late(timeout)),
                Progress::Wait(interest) => {
                    wait_ready(descriptor(&*attempt)?, interest, Some(left))?;
                }
                Progress::Pause(pause) => thread::sleep(pause.min(left)),
            }
        }
    }

    /// Connects within `timeout`, on the current tokio runtime. Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// As `connect`.
    pub fn connect_async(
        &self,
        timeout: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, Error>> + Send + '_>> {
        Box::pin(async move {
            let mut attempt = self.begin()?;
            match tokio::time::timeout(timeout, drive(&mut *attempt)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(self.too_late(timeout)),
            }
        })
    }

    fn too_late(&self, timeout: Duration) -> Error {
        Error::new(Kind::Timeout, format!("no connection over {}: within {timeout:?}", self.capabilities().scheme))
    }
}

async fn drive(attempt: &mut dyn Attempt) -> Result<Connection, Error> {
    let mut registered: Option<(RawFd, AsyncFd<OwnedFd>)> = None;
    loop {
        match attempt.advance()? {
            Progress::Done(connection) => return Ok(connection),
            Progress::Pause(pause) => tokio::time::sleep(pause).await,
            Progress::Wait(interest) => {
                let number = descriptor(attempt)?.as_raw_fd();
                if registered.as_ref().is_none_or(|(known, _)| *known != number) {
                    registered = Some((number, watched(descriptor(attempt)?.try_clone_to_owned()?, EITHER)?));
                }
                let (_, ready) = registered.as_ref().expect("it was registered above");
                let mut guard = match interest {
                    Interest::Write => ready.writable().await?,
                    _ => ready.readable().await?,
                };
                // Whatever is ready is seen by the next step; an edge that comes meanwhile is a new one.
                guard.clear_ready();
            }
        }
    }
}

fn descriptor(attempt: &dyn Attempt) -> io::Result<BorrowedFd<'_>> {
    attempt.descriptor().ok_or_else(|| io::Error::other("an attempt that waits has something to wait for"))
}

/// An attempt that was over when it began.
pub(crate) struct Instantly(Option<Connection>);

impl Instantly {
    pub(crate) fn boxed(connection: Connection) -> Box<dyn Attempt> {
        Box::new(Self(Some(connection)))
    }
}

impl Attempt for Instantly {
    fn advance(&mut self) -> Result<Progress, Error> {
        let gone = || Error::new(Kind::Closed, "this attempt is over");
        self.0.take().map(Progress::Done).ok_or_else(gone)
    }
}

/// The error of an attempt to reach `target`, in the words of who must act.
pub(crate) fn unreachable(target: impl std::fmt::Display, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Kind::NoResponders,
        io::ErrorKind::PermissionDenied => Kind::Denied,
        io::ErrorKind::TimedOut => Kind::Timeout,
        io::ErrorKind::Unsupported => Kind::Unsupported,
        io::ErrorKind::InvalidInput => Kind::InvalidInput,
        io::ErrorKind::WouldBlock => Kind::Full,
        _ => Kind::Io,
    };
    Error::new(kind, format!("cannot connect to '{target}'")).because(error)
}
