//! Sockets that never block, for a reactor: listeners and connections over TCP and Unix sockets.

pub(crate) mod claim;
mod sleeper;
pub(crate) mod tcp;
pub(crate) mod unix;

use std::{io, os::fd::AsFd};

use crosstie_core::{Endpoint, Error, Kind, Target};

use crate::{
    announcement::{Announcement, announce},
    reach::stay_here,
    transport::{Listen, Peer, SocketTransport},
};

/// Why nobody listens there, and what to do where that is known.
pub(crate) fn cannot_listen(at: impl std::fmt::Display, error: io::Error) -> Error {
    cannot("listen on", at, error)
}

/// Why something cannot be done at an address of one's own, and what to do where that is known.
pub(crate) fn cannot(act: &str, at: impl std::fmt::Display, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => "; somebody listens there: end that one, or take another address",
        io::ErrorKind::AlreadyExists => "; what is there is no socket: take another path",
        io::ErrorKind::NotFound => ", as its folder is not there",
        io::ErrorKind::AddrNotAvailable => ", which is no address of this machine",
        _ => "",
    };
    Error::new(Kind::Io, format!("cannot {act} '{at}'{hint}")).because(error)
}

/// A listener that never blocks, for a reactor: what it accepts is the socket alone. Everybody else wants [`listen`](crate::listen).
pub struct SocketListener {
    listener: Box<dyn Listen>,
    _said: Option<Announcement>,
}

impl SocketListener {
    /// Listens at `target`. A Unix socket that nobody listens on any more is replaced; its file is removed when the listener is dropped.
    ///
    /// # Errors
    ///
    /// [`Kind::Denied`] for an address beyond loopback, as nothing says who comes; [`Kind::Unsupported`] for a scheme that is neither `tcp:` nor `unix:`;
    /// [`Kind::Io`] with the address where the operating system refuses.
    pub fn bind(target: &Target) -> Result<Self, Error> {
        if let Target::Tcp { host } = target {
            let instead = "listen on 127.0.0.1, or ask everybody who they are (`bind_and_ask`)";
            stay_here(target, host, "nothing says who comes", instead)?;
        }
        Self::bind_and_ask(target)
    }

    /// Listens at `target`, also beyond loopback. The caller answers for it: its protocol asks everybody who they are, as a broker's does, or its user has
    /// said that nobody need be asked.
    ///
    /// # Errors
    ///
    /// As [`SocketListener::bind`], but for an address beyond loopback.
    pub fn bind_and_ask(target: &Target) -> Result<Self, Error> {
        let listener: io::Result<Box<dyn Listen>> = match target {
            Target::Tcp { host } => tcp::bind(host).map(|listener| Box::new(listener) as _),
            Target::Unix { address } => unix::bind(address).map(|listener| Box::new(listener) as _),
            other => {
                let text = format!("a stream listener needs tcp: or unix:, found '{other}'");
                return Err(Error::new(Kind::Unsupported, text));
            }
        };
        let listener = listener.map_err(|error| cannot_listen(target, error))?;
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
