//! Sockets that never block, for a reactor: listeners and connections over TCP and Unix sockets.

pub(crate) mod claim;
mod sleeper;
pub(crate) mod tcp;
pub(crate) mod unix;

use std::{io, os::fd::AsFd};

use crosstie_core::{Endpoint, Error, Kind, Target};

use crate::{
    announcement::{Announcement, announce},
    transport::{Listen, Peer, SocketTransport},
};

/// A listener that never blocks.
pub struct SocketListener {
    listener: Box<dyn Listen>,
    _said: Option<Announcement>,
}

impl SocketListener {
    /// Listens at `target`. A Unix socket that nobody listens on any more is replaced; its file is removed when the listener is dropped.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`] for a scheme that is neither `tcp:` nor `unix:`; [`Kind::Io`] with the address where the operating system refuses.
    pub fn bind(target: &Target) -> Result<Self, Error> {
        let listener: io::Result<Box<dyn Listen>> = match target {
            Target::Tcp { host } => tcp::bind(host).map(|listener| Box::new(listener) as _),
            Target::Unix { address } => unix::bind(address).map(|listener| Box::new(listener) as _),
            other => {
                let text = format!("a stream listener needs tcp: or unix:, found '{other}'");
                return Err(Error::new(Kind::Unsupported, text));
            }
        };
        let listener =
            listener.map_err(|error| Error::new(Kind::Io, format!("cannot listen on '{target}'")).because(error))?;
        let said = listener.local_target().ok().and_then(|target| announce("stream", &Endpoint::new(target)));
        Ok(Self { listener, _said: said })
    }

    /// Accepts a connection that waits; `None` if none does.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors.
    pub fn try_accept(&self) -> io::Result<Option<(Box<dyn SocketTransport>, Peer)>> {
        match self.listener.accept() {
            Ok(accepted) => Ok(Some(accepted)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Where it listens, with the port that the system chose if it was left open.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn local_endpoint(&self) -> io::Result<Endpoint> {
        self.listener.local_target().map(Endpoint::new)
    }
}

impl AsFd for SocketListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
