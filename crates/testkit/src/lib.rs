//! Test support: peers to test against, conformance suites, hostile clients, processes to be killed.

#![forbid(unsafe_code)]

#[cfg(feature = "kill")]
pub mod kill;
#[cfg(feature = "streams")]
pub mod streams;
pub mod wire;
