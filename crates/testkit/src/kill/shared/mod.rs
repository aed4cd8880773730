//! The structures of the shared-memory plane, each with its oracle.

mod byte_ring;
mod membership;
mod ring;
mod segment;

pub use {byte_ring::Frames, membership::Membership, ring::Slots};
