//! The NATS client protocol, both ends.
//!
//! | module | what it reads or writes |
//! | --- | --- |
//! | [`client_op`] | what a client says, as a server reads it |
//! | [`server_op`] | what a server says, as a client reads it |
//! | [`Familiar`] | the same by a short cut, in a stream of messages that are alike |
//! | [`mod@write`] | what a client says, as bytes |
//! | [`Info`], [`Connect`] | the two JSON documents of the handshake |
//!
//! The protocol is text lines ended by CRLF; `PUB`, `HPUB`, `MSG` and `HMSG` are followed by a payload of a stated size and another CRLF.

pub mod client_op;
mod connect;
mod familiar;
mod header_block;
mod info;
mod number;
pub mod server_op;
pub mod write;

pub use self::{
    connect::Connect,
    familiar::{Familiar, Recognized},
    header_block::{HeaderBlockError, decode_headers, encode_headers},
    info::Info,
    number::decimal,
};

/// The port that NATS servers listen on unless told otherwise.
pub const DEFAULT_PORT: u16 = 4222;
