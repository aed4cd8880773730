//! The rivals, each as its documentation uses it: there and back, and one way, with messages of 64 bytes.
//!
//! Those that can be polled are polled all the time, as our rings are; `ipc-channel` sleeps in the kernel, for it has no other way.

pub(crate) mod boost;
mod iceoryx;
mod ipc_channels;
mod link;
mod lmdb;
mod shmem;

use self::link::{one_way, round_trip};
pub(crate) use self::lmdb::transaction;
use crate::case::{Failure, Place, Rounds};

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
