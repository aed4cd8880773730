//! The NATS client protocol, both ends.
//!
//! The protocol is text lines ended by CRLF; `PUB`, `HPUB`, `MSG` and `HMSG` are followed by a payload of a stated size and another
//! CRLF. `docs/nats-wire.md` says what each operation does and which errors it can earn.

pub mod client_op;
mod connect;
mod info;
mod number;
pub mod write;

pub use self::{
    client_op::{ClientLimits, ClientOp, Parsed, Pub, Violation},
    connect::Connect,
    info::Info,
    number::decimal,
};

/// The port that NATS servers listen on unless told otherwise.
pub const DEFAULT_PORT: u16 = 4222;
/// The longest control line a server accepts by default, its CRLF not counted.
pub const MAX_CONTROL_LINE: usize = 4096;
/// The largest payload, headers included, a server accepts by default.
pub const MAX_PAYLOAD: usize = 1024 * 1024;
