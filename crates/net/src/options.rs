//! What `?deadline=` and `?retry=` of an endpoint mean for its connections.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use crosstie_core::{Endpoint, Error};

use crate::{
    capabilities::Capabilities,
    connection::Connection,
    connector::{Attempt, Connector, Progress},
    listener::Listener,
    reconnecting::{Backoff, Reconnecting},
};

/// The connector as the endpoint's options want it.
pub(crate) fn connector(connector: Box<dyn Connector>, endpoint: &Endpoint) -> Box<dyn Connector> {
    let options = endpoint.options();
    let connector: Box<dyn Connector> = match options.deadline {
        Some(deadline) => Box::new(Limited { inner: connector, deadline }),
        None => connector,
    };
    match options.retry {
        Some(retries) => {
            let backoff = Backoff { attempts: Some(retries.saturating_add(1)), ..Backoff::default() };
            Box::new(Reconnecting::new(connector, backoff))
        }
        None => connector,
    }
}

/// The listener as the endpoint's options want it.
pub(crate) fn listener(listener: Box<dyn Listener>, endpoint: &Endpoint) -> Box<dyn Listener> {
    match endpoint.options().deadline {
        Some(deadline) => Box::new(Limited { inner: listener, deadline }),
        None => listener,
    }
}

/// Whose connections have a time limit on each read and write.
struct Limited<T> {
    inner: T,
    deadline: Duration,
}

fn limited(mut connection: Connection, deadline: Duration) -> Connection {
    connection.set_timeout(Some(deadline));
    connection
}

impl Connector for Limited<Box<dyn Connector>> {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        Ok(Box::new(Limited { inner: self.inner.begin()?, deadline: self.deadline }))
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.inner.capabilities()
    }
}

impl Attempt for Limited<Box<dyn Attempt>> {
    fn advance(&mut self) -> Result<Progress, Error> {
        Ok(match self.inner.advance()? {
            Progress::Done(connection) => Progress::Done(limited(connection, self.deadline)),
            other => other,
        })
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inner.descriptor()
    }
}

impl AsFd for Limited<Box<dyn Listener>> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Listener for Limited<Box<dyn Listener>> {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        Ok(self.inner.try_accept()?.map(|connection| limited(connection, self.deadline)))
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.inner.capabilities()
    }

    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        Ok(Box::new(Limited { inner: self.inner.connector()?, deadline: self.deadline }))
    }

    fn reload(&self) -> Result<(), Error> {
        self.inner.reload()
    }
}
