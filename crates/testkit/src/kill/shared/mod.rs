//! The structures of the shared-memory plane, each with its oracle.

mod byte_ring;
mod ledger;
mod membership;
mod permits;
mod ring;
mod segment;

pub use {byte_ring::Frames, ledger::Books, membership::Membership, permits::Permits, ring::Slots};
