//! The passive side of every scheme: one trait, and two ways to wait for who comes.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use crosstie_core::{Endpoint, Error, Kind, instant_after};
use crosstie_sys::{Interest, wait_ready};
use tokio::io::unix::AsyncFd;

use crate::{capabilities::Capabilities, connection::Connection, connector::Connector, watched::watched};

/// Where connections come in.
///
/// Its descriptor is readable when [`Listener::try_accept`] may have something, so any event loop can wait for it. Blocking twin:
/// `accept`; for tokio: [`AsyncListener`].
pub trait Listener: AsFd + Send + Sync {
    /// Accepts a connection that waits; `None` if none does. Never blocks.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors. The listener stays as it is.
    fn try_accept(&self) -> Result<Option<Connection>, Error>;

    /// Where it listens, with what the system chose if it was left open.
    fn endpoint(&self) -> &Endpoint;

    /// What its connections can do.
    fn capabilities(&self) -> &'static Capabilities;

    /// A way to this very listener. The only one where there is no name (`pipe:`).
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`] where a listener can only be reached from outside (`fd:`).
    fn connector(&self) -> Result<Box<dyn Connector>, Error>;

    /// Reads again what it has read from files: certificates and keys. Connections that are there go on as they were.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidInput`] if a file does not hold what it should; nothing has changed then.
    fn reload(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl dyn Listener + '_ {
    /// Accepts a connection, waiting for it at most `timeout`. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// [`Kind::Timeout`] if nobody came, and as [`Listener::try_accept`].
    pub fn accept(&self, timeout: Duration) -> Result<Connection, Error> {
        let until = instant_after(Instant::now(), timeout);
        loop {
            if let Some(connection) = self.try_accept()? {
                return Ok(connection);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(Kind::Timeout, format!("nobody came to '{}' in time", self.endpoint())));
            }
            wait_ready(self, Interest::Read, Some(left))?;
        }
    }
}

/// A listener for tokio.
pub struct AsyncListener {
    listener: Box<dyn Listener>,
    ready: AsyncFd<OwnedFd>,
}

impl AsyncListener {
    /// The face of a listener for the current runtime.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors.
    pub fn new(listener: Box<dyn Listener>) -> io::Result<Self> {
        let descriptor = listener.as_fd().try_clone_to_owned()?;
        Ok(Self { listener, ready: watched(descriptor, tokio::io::Interest::READABLE)? })
    }

    /// Accepts a connection. Safe to drop: nobody who came is lost.
    ///
    /// # Errors
    ///
    /// As [`Listener::try_accept`].
    pub async fn accept(&self) -> Result<Connection, Error> {
        loop {
            let mut ready = self.ready.readable().await?;
            if let Some(connection) = self.listener.try_accept()? {
                return Ok(connection);
            }
            ready.clear_ready();
        }
    }

    /// The listener itself.
    pub fn get_ref(&self) -> &dyn Listener {
        &*self.listener
    }
}
