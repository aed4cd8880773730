//! The locks as algorithms over words: no memory mapping, no process, no system call but sleeping and waking.
//!
//! ```text
//!   orderings    what each atomic access promises, by name
//!   faults       what a mutation run may weaken or leave out
//!   cell         the words of a lock: holder, versions, deaths to tell
//!   waiting      sleeping until a word changes or somebody dies
//!   mutex        one holder            copies    two copies of a value, one of them committed
//!   readers      many or one           journal   before-images of what a transaction changes
//!   permits      at most so many       recovery  what is done for a participant that died
//!   telling      each death is told to one          armed    waiting by descriptor, or as a task
//! ```
//!
//! Everything is reached through `crate::sync` and the [`Peers`] trait, so that the models run these very files under loom and
//! shuttle, with death as a step: an actor stops between any two accesses, and somebody else recovers.

mod armed;
mod cell;
mod copies;
mod faults;
mod journal;
mod mutex;
mod orderings;
mod permits;
mod readers;
mod recovery;
mod telling;
mod waiting;

#[cfg(all(test, loom))]
mod models;

pub(crate) use self::{
    armed::{Bells, InTheWay, attempt_armed, ring},
    cell::{Holder, holder_of, note_since},
    copies::Copies,
    journal::{JOURNAL_HEADER, Journal, JournalError},
    mutex::{enter, leave, release, take, try_take},
    permits::{acquire, free, give_back, try_acquire},
    readers::{read, read_done, try_read, try_write, write, write_done},
    recovery::{Undo, recover, recover_count, recover_ended_thread},
    telling::{COUNT, Told, acknowledge, claim, has_untold, untold},
    waiting::{Peers, TimedOut, Wait},
};
