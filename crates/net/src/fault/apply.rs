//! Endpoints and connections with the faults of a program.

use crosstie_core::{Endpoint, Error};

use super::{
    faults::{Faults, Scope},
    frames::Splitter,
    open,
};
use crate::{
    connection::Connection,
    connector::Connector,
    datagram::{Datagrams, receive_datagrams, send_datagrams},
    listener::Listener,
    open::{connector, listen},
};

impl Faults {
    /// Listens as [`listen`] does, with these faults on the connections that are accepted.
    ///
    /// # Errors
    ///
    /// As [`listen`]; `Unsupported` for faults that a stream of bytes has no place for.
    pub fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, Error> {
        self.begin(Scope::Bytes, endpoint)?;
        Ok(open::listener(listen(endpoint)?, self.clone(), Scope::Bytes))
    }

    /// The way to an endpoint as [`connector`] has it, with these faults on its connections.
    ///
    /// # Errors
    ///
    /// As [`connector`]; `Unsupported` for faults that a stream of bytes has no place for.
    pub fn connector(&self, endpoint: &Endpoint) -> Result<Box<dyn Connector>, Error> {
        self.begin(Scope::Bytes, endpoint)?;
        Ok(open::connector(connector(endpoint)?, self.clone(), Scope::Bytes))
    }

    /// Receives datagrams as [`receive_datagrams`] does, with these faults.
    ///
    /// # Errors
    ///
    /// As [`receive_datagrams`]; `Unsupported` for faults that datagrams have no place for.
    pub fn receive_datagrams(&self, endpoint: &Endpoint) -> Result<Datagrams, Error> {
        self.begin(Scope::Datagrams, endpoint)?;
        receive_datagrams(endpoint)?.with_faults(self)
    }

    /// Sends datagrams as [`send_datagrams`] does, with these faults.
    ///
    /// # Errors
    ///
    /// As [`send_datagrams`]; `Unsupported` for faults that datagrams have no place for.
    pub fn send_datagrams(&self, endpoint: &Endpoint) -> Result<Datagrams, Error> {
        self.begin(Scope::Datagrams, endpoint)?;
        send_datagrams(endpoint)?.with_faults(self)
    }

    /// A connection that is there already, with these faults from now on.
    ///
    /// # Errors
    ///
    /// `Unsupported` for faults that a stream of bytes has no place for.
    pub fn over(&self, connection: Connection) -> Result<Connection, Error> {
        self.begin(Scope::Bytes, &connection.capabilities().scheme)?;
        Ok(connection.meet(self.line()).with_faults(None))
    }

    /// The same for a protocol of frames, as `split` tells them.
    ///
    /// # Errors
    ///
    /// `Unsupported` for faults that frames have no place for.
    pub fn over_frames(&self, connection: Connection, split: Splitter) -> Result<Connection, Error> {
        self.begin(Scope::Frames, &connection.capabilities().scheme)?;
        Ok(connection.meet(self.line()).with_faults(Some(split)))
    }
}
