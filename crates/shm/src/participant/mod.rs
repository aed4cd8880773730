//! A process's place in a segment, and what becomes of it when the process ends.

mod member;
mod reap;
mod witness;

pub use member::Participant;
pub(crate) use member::{WeakParticipant, program_name};
pub use reap::{Keeper, Life};
