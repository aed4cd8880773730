//! Publish and subscribe through a broker, each end with a client of its own.

use bytes::Bytes;
use crosstie::{
    Subject,
    blocking::{Client, Subscription},
};
use crosstie_core::{Endpoint, Error, Kind};

use super::end::{Line, PATIENCE};

/// After so many messages the broker is asked whether it has them, so that its limits and the other end's are kept.
const UNASKED: u32 = 1024;

struct Published {
    client: Client,
    to: Subject,
    from: Subscription,
    unasked: u32,
}

/// Which end it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Near,
    Far,
}

impl Line for Published {
    fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.client.publish(self.to.clone(), Bytes::copy_from_slice(message))?;
        self.unasked += 1;
        if self.unasked >= UNASKED { self.flush() } else { Ok(()) }
    }

    fn receive(&mut self, message: &mut [u8]) -> Result<bool, Error> {
        match self.from.next_timeout(PATIENCE) {
            Ok(Some(received)) => {
                message.copy_from_slice(&received.payload);
                Ok(true)
            }
            Ok(None) => Err(Error::new(Kind::Disconnected, "the broker is gone")),
            Err(error) if error.kind() == Kind::Timeout => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.unasked = 0;
        self.client.flush()
    }
}

pub(super) fn open(endpoint: &Endpoint, side: Side) -> Result<Box<dyn Line>, Error> {
    let client = Client::connect(endpoint.to_string().as_str())?;
    let (there, back) = ("bench.there", "bench.back");
    let (to, from) = if side == Side::Near { (there, back) } else { (back, there) };
    let from = client.subscribe(from)?;
    client.flush()?;
    Ok(Box::new(Published { client, to: to.parse().expect("it is a subject"), from, unasked: 0 }))
}
