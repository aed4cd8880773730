//! Test support: peers to test against, conformance suites, hostile clients, processes to be killed.

#![forbid(unsafe_code)]

#[cfg(feature = "kill")]
pub mod kill;
pub mod wire;
