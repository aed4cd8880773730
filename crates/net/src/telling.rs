//! Listeners that say where they are.

use std::os::fd::{AsFd, BorrowedFd};

use crosstie_core::{Endpoint, Error};

use crate::{
    announcement::{Announcement, announce},
    capabilities::Capabilities,
    connection::Connection,
    connector::Connector,
    listener::Listener,
};

/// A listener that says where it is.
struct Telling {
    inner: Box<dyn Listener>,
    _said: Option<Announcement>,
}

/// The same listener, known to `crosstie ps` from now on.
pub(crate) fn telling(inner: Box<dyn Listener>) -> Box<dyn Listener> {
    let said = announce("stream", inner.endpoint());
    Box::new(Telling { inner, _said: said })
}

impl AsFd for Telling {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Listener for Telling {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        self.inner.try_accept()
    }

    fn reload(&self) -> Result<(), Error> {
        self.inner.reload()
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.inner.capabilities()
    }

    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        self.inner.connector()
    }
}
