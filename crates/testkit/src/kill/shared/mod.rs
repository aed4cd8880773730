//! The structures of the shared-memory plane, each with its oracle.

mod membership;
mod segment;

pub use membership::Membership;
