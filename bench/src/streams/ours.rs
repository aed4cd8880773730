//! The same through Crosstie: bytes of a connection, and channels, for threads and for tasks.

use std::time::Duration;

use bytes::Bytes;
use crosstie_core::Endpoint;
use crosstie_link::{Payload, Raw, blocking};
use crosstie_macros::Schema;
use crosstie_net::{Connection, connector, listen};
use serde::{Deserialize, Serialize};

use super::floors::runtime;
use super::place::{Place, Side};
use super::rounds::{self, LARGE, Rounds, SMALL};
use crate::error::{Error, Result};

const PATIENCE: Duration = Duration::from_secs(10);

fn connection(place: &mut Place, endpoint: &Endpoint) -> Result<Connection> {
    if place.side() == Side::Peer {
        return Ok(connector(endpoint)?.connect(PATIENCE)?);
    }
    let listener = listen(endpoint)?;
    place.is_ready()?;
    Ok(listener.accept(PATIENCE)?)
}

/// Bytes over shared memory, there and back, by threads that never sleep.
pub(super) fn busy_echo(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.busy()?;
    Ok(rounds::echo(place.side(), connection(place, &endpoint)?))
}

/// Bytes over shared memory, there and back, as threads wait unless told otherwise.
pub(super) fn shm_echo(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.shm()?;
    Ok(rounds::echo(place.side(), connection(place, &endpoint)?))
}

/// Bytes over a Unix socket, one processor, there and back.
pub(super) fn unix_echo(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.unix()?;
    Ok(rounds::echo(place.side(), connection(place, &endpoint)?))
}

/// Small messages as bytes over shared memory, one way, one write for each.
pub(super) fn shm_one_way_small(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.shm()?;
    Ok(rounds::one_way(place.side(), connection(place, &endpoint)?, SMALL))
}

/// Large messages as bytes over shared memory, one way.
pub(super) fn shm_one_way_large(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.shm()?;
    Ok(rounds::one_way(place.side(), connection(place, &endpoint)?, LARGE))
}

/// Large messages as bytes over a Unix socket, one way.
pub(super) fn unix_one_way_large(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.unix()?;
    Ok(rounds::one_way(place.side(), connection(place, &endpoint)?, LARGE))
}

fn channel<T: Payload>(place: &mut Place, endpoint: &Endpoint) -> Result<blocking::Channel<T>> {
    if place.side() == Side::Peer {
        return Ok(blocking::Channel::connect(endpoint)?);
    }
    let listener = blocking::ChannelListener::bind(endpoint)?;
    place.is_ready()?;
    Ok(listener.accept(PATIENCE)?.open()?)
}

/// A channel's messages, there and back, each sent for itself.
fn channel_echo(place: &mut Place, endpoint: &Endpoint) -> Result<Rounds> {
    let (side, mut channel) = (place.side(), channel::<Raw>(place, endpoint)?);
    Ok(Box::new(move |count| {
        let mut message = small();
        for _ in 0..count {
            if side == Side::Measurer {
                channel.send(&message)?;
            }
            message = channel.recv()?.value;
            if side == Side::Peer {
                channel.send(&message)?;
            }
        }
        Ok(())
    }))
}

/// A channel over a Unix socket, there and back.
pub(super) fn channel_unix_echo(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.unix()?;
    channel_echo(place, &endpoint)
}

/// A channel over shared memory, there and back, by threads that never sleep.
pub(super) fn channel_busy_echo(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.busy()?;
    channel_echo(place, &endpoint)
}

/// A channel for tasks over a Unix socket, there and back.
pub(super) fn channel_tokio_echo(place: &mut Place) -> Result<Rounds> {
    let (side, endpoint) = (place.side(), place.unix()?);
    let runtime = runtime()?;
    let mut channel = runtime.block_on(async {
        if side == Side::Peer {
            return Ok::<_, Error>(crosstie_link::Channel::<Raw>::connect(&endpoint).await?);
        }
        let listener = crosstie_link::ChannelListener::bind(&endpoint)?;
        place.is_ready()?;
        Ok(listener.accept(PATIENCE).await?.open().await?)
    })?;
    Ok(Box::new(move |count| {
        runtime.block_on(async {
            let mut message = small();
            for _ in 0..count {
                if side == Side::Measurer {
                    channel.send(&message).await?;
                }
                message = channel.recv().await?.value;
                if side == Side::Peer {
                    channel.send(&message).await?;
                }
            }
            Ok(())
        })
    }))
}

fn small() -> Raw {
    Raw(Bytes::from_static(&[b'x'; SMALL]))
}

/// A channel's messages one way, fed, and in the end one back.
fn channel_one_way<T: Payload + PartialEq + 'static>(
    place: &mut Place,
    endpoint: &Endpoint,
    message: T,
) -> Result<Rounds> {
    let (side, mut channel) = (place.side(), channel::<T>(place, endpoint)?);
    Ok(Box::new(move |count| {
        if side == Side::Measurer {
            for _ in 0..count {
                channel.sender().feed(&message)?;
            }
            channel.sender().flush()?;
            channel.recv()?;
            return Ok(());
        }
        for _ in 0..count {
            if channel.recv()?.value != message {
                return Err(Error::new("expected more of the same messages"));
            }
        }
        Ok(channel.send(&message)?)
    }))
}

/// A channel of small messages over a Unix socket, one way.
pub(super) fn channel_unix_one_way(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.unix()?;
    channel_one_way(place, &endpoint, small())
}

/// A channel of small messages over shared memory, one way.
pub(super) fn channel_shm_one_way(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.shm()?;
    channel_one_way(place, &endpoint, small())
}

/// A channel of large messages over shared memory, one way.
pub(super) fn channel_shm_one_way_large(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.shm()?;
    channel_one_way(place, &endpoint, Raw(Bytes::from(vec![b'x'; LARGE])))
}

/// 64 bytes with names and types.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Schema)]
struct Quote {
    number: u64,
    instrument: u32,
    venue: u16,
    side: u16,
    price: f64,
    quantity: f64,
    bid: f64,
    ask: f64,
    time: u64,
    flags: u64,
}

/// A channel of a type of 64 bytes over shared memory, one way.
pub(super) fn channel_shm_one_way_typed(place: &mut Place) -> Result<Rounds> {
    let endpoint = place.shm()?;
    let (price, quantity, bid, ask) = (101.25, 300.0, 101.0, 101.5);
    let (number, instrument, venue, side) = (1_000_000, 70_000, 42, 1);
    let quote =
        Quote { number, instrument, venue, side, price, quantity, bid, ask, time: 1_790_000_000_000_000_000, flags: 3 };
    channel_one_way(place, &endpoint, quote)
}
