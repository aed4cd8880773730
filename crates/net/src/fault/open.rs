//! Listeners and connectors whose connections meet faults.

use std::os::fd::{AsFd, BorrowedFd};

use crosstie_core::{Endpoint, Error};

use super::faults::{Faults, Scope};
use crate::{
    capabilities::Capabilities,
    connection::Connection,
    connector::{Attempt, Connector, Progress},
    listener::Listener,
};

/// What faults are added to.
struct Faulty<T> {
    inner: T,
    faults: Faults,
    scope: Scope,
}

pub(crate) fn listener(inner: Box<dyn Listener>, faults: Faults, scope: Scope) -> Box<dyn Listener> {
    Box::new(Faulty { inner, faults, scope })
}

pub(crate) fn connector(inner: Box<dyn Connector>, faults: Faults, scope: Scope) -> Box<dyn Connector> {
    Box::new(Faulty { inner, faults, scope })
}

impl<T> Faulty<T> {
    fn meet(&self, connection: Connection) -> Connection {
        let connection = connection.meet(self.faults.line());
        if self.scope == Scope::Bytes { connection.with_faults(None) } else { connection }
    }
}

impl AsFd for Faulty<Box<dyn Listener>> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Listener for Faulty<Box<dyn Listener>> {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        Ok(self.inner.try_accept()?.map(|connection| self.meet(connection)))
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

    /// Without the faults: one end makes them.
    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        self.inner.connector()
    }
}

impl Connector for Faulty<Box<dyn Connector>> {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        Ok(Box::new(Faulty { inner: self.inner.begin()?, faults: self.faults.clone(), scope: self.scope }))
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.inner.capabilities()
    }
}

impl Attempt for Faulty<Box<dyn Attempt>> {
    fn advance(&mut self) -> Result<Progress, Error> {
        Ok(match self.inner.advance()? {
            Progress::Done(connection) => Progress::Done(self.meet(connection)),
            other => other,
        })
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inner.descriptor()
    }
}
