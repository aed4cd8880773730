//! Client libraries against the raw generator: one side of 1→1 is the library, the other stays raw.

mod async_nats;
mod client;
mod crosstie_tasks;
mod crosstie_threads;
mod payloads;

use std::fmt;
use std::net::{SocketAddr, TcpStream};

use self::client::Client;
use self::payloads::{Order, Payloads};
use crate::error::Result;
use crate::load::{Gate, Sample, Timing, Workload, drive, publish, receive};
use crate::wire::{connect, subscribe};

/// A client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    CrosstieTasks,
    CrosstieThreads,
    AsyncNats,
}

impl Library {
    pub(crate) const ALL: [Self; 3] = [Self::CrosstieTasks, Self::CrosstieThreads, Self::AsyncNats];
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CrosstieTasks => "crosstie",
            Self::CrosstieThreads => "crosstie (blocking)",
            Self::AsyncNats => "async-nats 0.51",
        })
    }
}

/// What the library does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Publish,
    Subscribe,
}

/// Deliveries per second of 1→1 with `library` on one side.
pub(crate) fn throughput(
    server: SocketAddr,
    library: Library,
    side: Side,
    payload: usize,
    timing: Timing,
) -> Result<Sample> {
    let subscribes = side == Side::Subscribe;
    let mut client: Box<dyn Client + Send> = match library {
        Library::CrosstieTasks => Box::new(crosstie_tasks::Tasks::connect(server, subscribes)?),
        Library::CrosstieThreads => Box::new(crosstie_threads::Threads::connect(server, subscribes)?),
        Library::AsyncNats => Box::new(async_nats::AsyncNats::connect(server, subscribes)?),
    };
    let gate = Gate::new(1, Workload::new(1, 1, payload).window());
    let mut raw = connect(server)?;
    match side {
        Side::Publish => {
            subscribe(&mut raw)?;
            drive(
                &gate,
                None,
                timing,
                |sent| receive(vec![raw], 1, payload, &gate, sent),
                || client.publish(Payloads::new(payload), &gate),
            )
        }
        Side::Subscribe => {
            let raw: [TcpStream; 1] = [raw];
            drive(
                &gate,
                None,
                timing,
                |sent| client.receive(Order::default(), &gate, sent),
                || publish(&raw, payload, &gate),
            )
        }
    }
}
