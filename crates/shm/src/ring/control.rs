//! The lines in front of a ring's data: who sits at each end, how far each has come, and who sleeps.
//!
//! ```text
//!     0  quiet      senders's seat, receiver's seat          read by both all the time, written when somebody comes or goes
//!   128  tail       bytes or messages sent so far            written by the sender
//!   256  head       bytes or messages taken so far           written by the receiver
//!   384  items      eventcount: the receiver sleeps          written when it falls asleep or is woken
//!   512  room       eventcount: the sender sleeps
//!   640  data
//! ```
//!
//! Every group has 128 bytes to itself: processors fetch lines in pairs, and a position that changes with every message must not drag along
//! the line that the other side reads with every message.

use super::seat::Seat;
use crate::{sync::AtomicU64, wait::EventCount};

/// One position, alone in its pair of lines.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct Position(pub(crate) AtomicU64);

/// The seats, alone in their pair of lines.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    pub(crate) sender: Seat,
    pub(crate) receiver: Seat,
}

/// Everything in front of the data.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) quiet: Quiet,
    /// Only the sender stores; the receiver never needs it, for each slot says itself whether it is full.
    pub(crate) tail: Position,
    /// Only the receiver stores.
    pub(crate) head: Position,
    /// Rung when there is something to receive.
    pub(crate) items: EventCount,
    /// Rung when there is room.
    pub(crate) room: EventCount,
}

// SAFETY: made of atomics alone, and of padding that nobody looks at.
#[cfg(not(loom))]
unsafe impl crate::segment::Shared for Control {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Control>() == 640);
