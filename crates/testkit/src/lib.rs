//! Test support: peers to test against, conformance suites, hostile clients, processes to be killed.

#![forbid(unsafe_code)]

#[cfg(feature = "certificates")]
pub mod certificates;
#[cfg(feature = "streams")]
pub mod datagrams;
#[cfg(feature = "streams")]
pub mod joins;
#[cfg(feature = "kill")]
pub mod kill;
#[cfg(feature = "streams")]
mod matrix;
#[cfg(feature = "streams")]
pub mod network;
#[cfg(feature = "streams")]
mod open_descriptors;
#[cfg(feature = "streams")]
pub mod streams;
pub mod wire;
