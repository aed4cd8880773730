//! `mem:name`: within this process.

use std::os::fd::{AsFd, BorrowedFd};

use crosstie_core::{Endpoint, Error, Target};

use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::{Attempt, Connector, Instantly, unreachable},
    lifeline::Lifeline,
    listener::Listener,
    memory::{MemoryListener, MemoryTransport, connect},
    transport::Peer,
};

pub(crate) struct MemListener {
    listener: MemoryListener,
    endpoint: Endpoint,
    name: String,
}

impl MemListener {
    pub(crate) fn bind(name: &str) -> std::io::Result<Self> {
        let endpoint = Endpoint::new(Target::Mem { name: name.to_owned() });
        Ok(Self { listener: MemoryListener::bind(name)?, endpoint, name: name.to_owned() })
    }
}

fn connection(transport: MemoryTransport) -> Connection {
    Connection::new(Box::new(transport), Peer::Here, Lifeline::None, &capabilities::MEM)
}

impl AsFd for MemListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Listener for MemListener {
    fn try_accept(&self) -> Result<Option<Connection>, Error> {
        Ok(self.listener.try_accept().map(connection))
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::MEM
    }

    fn connector(&self) -> Result<Box<dyn Connector>, Error> {
        Ok(Box::new(MemConnector { name: self.name.clone() }))
    }
}

pub(crate) struct MemConnector {
    pub(crate) name: String,
}

impl Connector for MemConnector {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        let transport = connect(&self.name).map_err(|error| unreachable(format_args!("mem:{}", self.name), error))?;
        Ok(Instantly::boxed(connection(transport)))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::MEM
    }
}
