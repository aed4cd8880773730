//! The rivals, each as its documentation uses it: there and back, and one way, with messages of 64 bytes.
//!
//! Those that can be polled are polled all the time, as our rings are; `ipc-channel` sleeps in the kernel, for it has no other way.

pub(crate) mod boost;
mod iceoryx;
mod ipc_channels;
mod lmdb;
mod shmem;

pub(crate) use self::lmdb::transaction;
use crate::case::{Failure, Place, Rounds, Side, timed};

/// What every rival moves.
type Message = [u64; 8];

/// Both directions between the two processes.
trait Link {
    fn send(&mut self, message: Message) -> Result<(), Failure>;
    fn receive(&mut self) -> Result<Message, Failure>;
}

fn round_trip(mut link: impl Link + 'static, side: Side) -> Rounds {
    Box::new(move |count| {
        timed(count, |number| {
            if side == Side::Measurer {
                link.send([number; 8])?;
            }
            let message = link.receive()?;
            if message != [number; 8] {
                return Err(format!("expected {number}, came {message:?}").into());
            }
            if side == Side::Peer {
                link.send(message)?;
            }
            Ok(())
        })
    })
}

fn one_way(mut link: impl Link + 'static, side: Side) -> Rounds {
    Box::new(move |count| {
        let took = timed(count, |number| {
            if side == Side::Measurer {
                link.send([number; 8])?;
            } else if link.receive()? != [number; 8] {
                return Err("another message came".into());
            }
            Ok(())
        });
        if side == Side::Measurer {
            link.receive()?;
        } else {
            link.send([0; 8])?;
        }
        took
    })
}

macro_rules! rivals {
    ($($there_and_back:ident, $stream:ident: $link:path;)*) => {$(
        pub(crate) fn $there_and_back(place: &Place<'_>) -> Result<Rounds, Failure> {
            Ok(round_trip($link(place)?, place.side))
        }

        pub(crate) fn $stream(place: &Place<'_>) -> Result<Rounds, Failure> {
            Ok(one_way($link(place)?, place.side))
        }
    )*};
}

rivals! {
    iceoryx_round_trip, iceoryx_one_way: iceoryx::link;
    shmem_round_trip, shmem_one_way: shmem::link;
    channel_round_trip, channel_one_way: ipc_channels::link;
}
