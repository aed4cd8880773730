//! What carries messages of one size from one end to the other, whatever is underneath.

mod broker;
mod bytes;
mod channel;
mod datagrams;
mod end;
mod ring;

use crosstie_core::{Endpoint, Error};
use crosstie_net::PipeEnds;
use serde::{Deserialize, Serialize};

pub(super) use self::end::{LOST, Line, PATIENCE, place};

/// What is measured over an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Bytes as they are, one write and one read for each message.
    Bytes,
    /// Two pipes: the far end's are its standard streams.
    Pipe,
    /// One way, through a named pipe.
    Fifo,
    Datagrams,
    /// Typed messages.
    Channel,
    /// A ring of frames in shared memory, without an endpoint.
    Ring,
    /// Publish and subscribe.
    Broker,
}

impl Kind {
    /// True if the far end can answer.
    pub(super) const fn is_two_way(self) -> bool {
        !matches!(self, Self::Fifo)
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Bytes | Self::Pipe | Self::Fifo => "bytes",
            Self::Datagrams => "datagrams",
            Self::Channel => "channel",
            Self::Ring => "frames",
            Self::Broker => "publish",
        }
    }
}

/// The end that measures, before the other is there.
pub(super) enum Near {
    Bytes,
    Pipe(Box<dyn Line>),
    Datagrams(Box<datagrams::Back>),
    Channel,
    Ring(Box<ring::Rings>),
    Broker,
}

impl Near {
    /// Makes what the far end needs to be there: the pipes that are given to it, or the place where its answers go.
    pub(super) fn prepare(kind: Kind, endpoint: &Endpoint) -> Result<(Self, Option<PipeEnds>), Error> {
        Ok(match kind {
            Kind::Bytes | Kind::Fifo => (Self::Bytes, None),
            Kind::Pipe => {
                let (line, ends) = bytes::pipe()?;
                (Self::Pipe(line), Some(ends))
            }
            Kind::Datagrams => (Self::Datagrams(Box::new(datagrams::back(endpoint)?)), None),
            Kind::Channel => (Self::Channel, None),
            Kind::Ring => (Self::Ring(Box::new(ring::create(endpoint)?)), None),
            Kind::Broker => (Self::Broker, None),
        })
    }

    /// Where the far end is to send its answers, if that is another place.
    pub(super) fn back(&self) -> Option<String> {
        match self {
            Self::Datagrams(back) => Some(back.endpoint()),
            _ => None,
        }
    }

    /// Opens the line to the far end, which is ready at `endpoint`.
    pub(super) fn open(self, endpoint: &Endpoint) -> Result<Box<dyn Line>, Error> {
        match self {
            Self::Bytes => bytes::connect(endpoint),
            Self::Pipe(line) => Ok(line),
            Self::Datagrams(back) => back.open(endpoint),
            Self::Channel => channel::connect(endpoint),
            Self::Ring(rings) => rings.near(),
            Self::Broker => broker::open(endpoint, broker::Side::Near),
        }
    }
}

/// Opens the far end at `endpoint`, and calls `ready` with the place where it is once somebody may come.
pub(super) fn open_far(
    kind: Kind,
    endpoint: &Endpoint,
    back: Option<&Endpoint>,
    ready: impl FnOnce(String) -> Result<(), Error>,
) -> Result<Box<dyn Line>, Error> {
    match kind {
        Kind::Bytes | Kind::Fifo => bytes::accept(endpoint, ready),
        Kind::Pipe => {
            ready(endpoint.to_string())?;
            bytes::standard_streams()
        }
        Kind::Datagrams => datagrams::far(endpoint, back, ready),
        Kind::Channel => channel::accept(endpoint, ready),
        Kind::Ring => {
            let line = ring::far(endpoint)?;
            ready(endpoint.to_string())?;
            Ok(line)
        }
        Kind::Broker => {
            let line = broker::open(endpoint, broker::Side::Far)?;
            ready(endpoint.to_string())?;
            Ok(line)
        }
    }
}
