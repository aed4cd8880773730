//! What is put around listeners and connectors: it changes their connections, and all else is passed on.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use crosstie_core::{Endpoint, Error};

use crate::{
    capabilities::Capabilities,
    connection::Connection,
    connector::{Attempt, Connector, Progress},
    listener::Listener,
};

/// What happens to each connection.
pub(crate) trait Around: Send + Sync {
    /// The connection as its user gets it.
    fn change(&self, connection: Connection) -> Connection {
        connection
    }

    /// Whether it is put around a listener's own [`connector`](Listener::connector), too.
    fn at_both_ends(&self) -> bool {
        false
    }
}

/// The listener with `what` around it.
pub(crate) fn listener(inner: Box<dyn Listener>, what: impl Around + 'static) -> Box<dyn Listener> {
    Box::new(Inside { inner, what: Arc::new(what) })
}

/// The connector with `what` around it.
pub(crate) fn connector(inner: Box<dyn Connector>, what: impl Around + 'static) -> Box<dyn Connector> {
    Box::new(Inside { inner, what: Arc::new(what) })
}

struct Inside<T> {
    inner: T,
    what: Arc<dyn Around>,
}

impl AsFd for Inside<Box<dyn Listener>> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Listener for Inside<Box<dyn Listener>> {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        Ok(self.inner.try_accept()?.map(|connection| self.what.change(connection)))
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.inner.capabilities()
    }

    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        let inner = self.inner.connector()?;
        Ok(if self.what.at_both_ends() { Box::new(Inside { inner, what: Arc::clone(&self.what) }) } else { inner })
    }

    fn reload(&self) -> Result<(), Error> {
        self.inner.reload()
    }
}

impl Connector for Inside<Box<dyn Connector>> {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        Ok(Box::new(Inside { inner: self.inner.begin()?, what: Arc::clone(&self.what) }))
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.inner.capabilities()
    }
}

impl Attempt for Inside<Box<dyn Attempt>> {
    fn advance(&mut self) -> Result<Progress, Error> {
        Ok(match self.inner.advance()? {
            Progress::Done(connection) => Progress::Done(self.what.change(connection)),
            other => other,
        })
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inner.descriptor()
    }
}
