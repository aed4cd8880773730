//! Rings: one sender, one receiver, and either may die at any instruction.
//!
//! ```text
//!   typed    Ring<T>: messages of one size          frames         ByteRing: frames of any length
//!   slots    its algorithm, over plain memory       bytes          its algorithm, over plain memory
//!   end      what both ends of both kinds do alike  control, seat  the lines in front of the data
//! ```

mod bytes;
mod control;
mod corrupt;
#[cfg(not(loom))]
mod end;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod frames;
#[cfg(not(loom))]
mod held;
#[cfg(all(test, loom))]
mod models;
mod prefetch;
mod seat;
#[cfg(not(loom))]
mod several;
mod slots;
#[cfg(not(loom))]
mod typed;
#[cfg(not(loom))]
mod words;

pub(crate) use self::{
    corrupt::Corrupt,
    seat::{Seat, Taken},
};
#[cfg(not(loom))]
pub(crate) use self::{
    end::damaged,
    error::is_ready,
    held::hold,
    words::{address, load, store},
};
#[cfg(not(loom))]
pub use self::{
    error::{ReceiveError, SendError},
    frames::{ByteReceiver, ByteRing, ByteSender, Frame, FrameLoan},
    several::{Awaited, wait_any},
    typed::{Loan, Receiver, Ring, Sample, Sender},
};
