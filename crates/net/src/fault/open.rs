//! Listeners and connectors whose connections meet faults.

use super::faults::{Faults, Scope};
use crate::{
    around::{self, Around},
    connection::Connection,
    connector::Connector,
    listener::Listener,
};

/// The faults that connections meet. A listener's own connector makes none: one end makes them.
struct Faulty {
    faults: Faults,
    scope: Scope,
}

pub(crate) fn listener(inner: Box<dyn Listener>, faults: Faults, scope: Scope) -> Box<dyn Listener> {
    around::listener(inner, Faulty { faults, scope })
}

pub(crate) fn connector(inner: Box<dyn Connector>, faults: Faults, scope: Scope) -> Box<dyn Connector> {
    around::connector(inner, Faulty { faults, scope })
}

impl Around for Faulty {
    fn change(&self, connection: Connection) -> Connection {
        let connection = connection.meet(self.faults.line());
        if self.scope == Scope::Bytes { connection.with_faults(None) } else { connection }
    }
}
