//! What `?deadline=` and `?retry=` of an endpoint mean for its connections.

use std::time::Duration;

use crosstie_core::Endpoint;

use crate::{
    around::{self, Around},
    connection::Connection,
    connector::Connector,
    listener::Listener,
    reconnecting::{Backoff, Reconnecting},
};

/// The connector as the endpoint's options want it.
pub(crate) fn connector(connector: Box<dyn Connector>, endpoint: &Endpoint) -> Box<dyn Connector> {
    let options = endpoint.options();
    let connector = match options.deadline {
        Some(deadline) => around::connector(connector, Limited { deadline }),
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
        Some(deadline) => around::listener(listener, Limited { deadline }),
        None => listener,
    }
}

/// Reads and writes of its connections have a time limit.
struct Limited {
    deadline: Duration,
}

impl Around for Limited {
    fn change(&self, mut connection: Connection) -> Connection {
        connection.set_timeout(Some(self.deadline));
        connection
    }

    fn at_both_ends(&self) -> bool {
        true
    }
}
