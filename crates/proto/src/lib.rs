//! Protocols as state machines: bytes and `now` in, frames and actions out.
//!
//! Nothing here opens a socket or reads a clock. A limit is checked before anything is allocated for what it limits, and a payload is
//! never copied by a parser.
#![forbid(unsafe_code)]

pub mod frame;
pub mod nats;
