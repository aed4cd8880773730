//! Frames: how the two ends of a channel speak, over a byte stream or in datagrams.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`head`] | one frame: length, check, kind, number |
//! | [`Hello`] | what each side says of itself first |
//! | [`Terms`] | what follows from two hellos, by one rule at both ends |
//! | [`Numbers`] | what was lost, doubled or late, by the numbers of messages |
//! | [`Session`] | one side of a connection, without the connection |
//! | [`Datagram`] | one message in one datagram |
//! | [`Senders`] | the numbers of many who send datagrams |
//!
//! The format is `docs/frame-format.md`.

mod block;
mod datagram;
pub mod head;
mod hello;
mod numbers;
mod senders;
mod session;
mod terms;
mod violation;

pub use self::{
    datagram::{DATAGRAM_HEAD, DATAGRAM_MAGIC, Datagram, MAX_DESCRIPTION},
    head::FrameKind,
    hello::{Described, Hello},
    numbers::{Arrival, Numbers},
    senders::{Heard, Senders, Tally},
    session::{Event, Incoming, Options, Session, Step},
    terms::{CanRead, Direction, Refusal, Terms},
    violation::Violation,
};

/// What each side sends before its first frame.
pub const PREAMBLE: [u8; 8] = *b"\x89TIE\r\n\x1a\n";
/// The version of the format.
pub const VERSION: u16 = 1;
/// The longest hello, and the longest frame before it.
pub const MAX_HELLO: usize = 256 * 1024;
/// The longest frame that a side takes unless told otherwise.
pub const DEFAULT_MAX_FRAME: usize = 16 * 1024 * 1024;
/// Bounds of that.
pub const MAX_FRAME_BOUNDS: std::ops::RangeInclusive<usize> = 1024..=1024 * 1024 * 1024;
