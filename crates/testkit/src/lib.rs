//! Test support: peers to test against, conformance suites, hostile clients.

#![forbid(unsafe_code)]

pub mod wire;
