//! Where channels are accepted, for tasks.

use std::{marker::PhantomData, time::Duration};

use crosstie_core::{Endpoint, Error, Kind, Result};
#[cfg(feature = "tls")]
use crosstie_net::Certificate;
use crosstie_net::{AsyncListener, Connection, Peer, listen_for_frames};

use crate::{Channel, ChannelOptions, Payload};

/// A place where others open channels to this process, for async programs.
///
/// Whoever connects and says nothing holds up nobody: what is accepted becomes a channel only by [`Accepted::open`], best in a task of its own.
pub struct ChannelListener<S, R = S> {
    listener: AsyncListener,
    options: ChannelOptions,
    types: PhantomData<fn(S) -> R>,
}

impl<S: Payload, R: Payload> ChannelListener<S, R> {
    /// Listens at `endpoint`. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// Those of [`listen`](crosstie_net::listen) and of [`ChannelOptions::of`].
    pub fn bind(endpoint: &Endpoint) -> Result<Self> {
        Self::bind_with(endpoint, ChannelOptions::of(endpoint)?)
    }

    /// As [`ChannelListener::bind`], with options from the program where `endpoint` says nothing.
    ///
    /// # Errors
    ///
    /// Those of [`listen`](crosstie_net::listen).
    pub fn bind_with(endpoint: &Endpoint, options: ChannelOptions) -> Result<Self> {
        let options = options.said_by(endpoint)?;
        Ok(Self { listener: AsyncListener::new(listen_for_frames(endpoint)?)?, options, types: PhantomData })
    }

    /// Waits for somebody to connect, at most `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout`; those of the listener.
    pub async fn accept(&self, timeout: Duration) -> Result<Accepted<S, R>> {
        let accepted = tokio::time::timeout(timeout, self.listener.accept()).await;
        let connection = accepted.map_err(|_| {
            Error::new(Kind::Timeout, format!("nobody connected to '{}' within {timeout:?}", self.endpoint()))
        })??;
        Ok(Accepted { connection, options: self.options.clone(), types: PhantomData })
    }

    /// Reads certificates and keys again that a `tls:` endpoint names, for those who come from now on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a file does not hold what it should; nothing has changed then.
    pub fn reload(&self) -> Result<()> {
        self.listener.get_ref().reload()
    }

    /// Where it listens, with what the system chose.
    pub fn endpoint(&self) -> &Endpoint {
        self.listener.get_ref().endpoint()
    }
}

/// Somebody who has connected, and has not been heard yet.
pub struct Accepted<S, R = S> {
    connection: Connection,
    options: ChannelOptions,
    types: PhantomData<fn(S) -> R>,
}

impl<S: Payload, R: Payload> Accepted<S, R> {
    /// Who it is.
    pub const fn peer(&self) -> Peer {
        self.connection.peer()
    }

    /// The certificate with which the other end has proved who it is: over `tls:`, and of a client that was asked for one.
    #[cfg(feature = "tls")]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.connection.certificate()
    }

    /// Says hello and waits for the other side's, as long as `connect_timeout`.
    ///
    /// # Errors
    ///
    /// As [`Channel::connect`].
    pub async fn open(self) -> Result<Channel<S, R>> {
        Channel::over(self.connection, self.options).await
    }
}
