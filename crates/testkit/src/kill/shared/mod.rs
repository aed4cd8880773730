//! The structures of the shared-memory plane, each with its oracle.

mod buffers;
mod byte_ring;
mod latest;
mod ledger;
mod membership;
mod permits;
mod ring;
mod segment;
mod stream;

pub use {
    buffers::Buffers, byte_ring::Frames, latest::Newest, ledger::Books, membership::Membership, permits::Permits,
    ring::Slots, stream::Stream,
};
