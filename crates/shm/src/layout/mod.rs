//! The records that a segment is made of, as `docs/segment-format.md` lays them down.
//!
//! All are made of atomics: any process may write them at any time, so no plain reference to their bytes may exist.

mod events;
mod lock_cell;
mod participant_slot;
mod standing;
mod text;
mod waiter_row;

pub use events::{Event, EventRow};
pub use lock_cell::LockCell;
pub use participant_slot::{ParticipantId, ParticipantSlot, ParticipantState};
pub use standing::Standing;
pub use waiter_row::{WaiterEntry, WaiterRow};

#[cfg_attr(loom, allow(unused_imports, reason = "who reads and writes text is not modelled"))]
pub(crate) use text::{load_text, store_text};

/// The page of the format, whatever the machine's is.
pub(crate) const PAGE: u64 = 4096;
/// The most participants that a segment may have: slot numbers have ten bits in a lock word.
pub(crate) const MAX_PARTICIPANTS: u32 = 1023;
/// Events kept of each participant.
pub(crate) const EVENTS_KEPT: usize = 256;
/// Threads of one participant whose waits are listed.
pub(crate) const WAITS_LISTED: usize = 8;
