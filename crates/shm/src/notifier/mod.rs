//! Waiting in any runtime: who arms an object is told by a descriptor or a task that it may be ready.
//!
//! ```text
//!   notifier    Notifier: the descriptor, and which keys are ready        armer      one object of this process that can be armed
//!   alarm       whom to tell: a descriptor under a key, or a task         listening  a participation, and who has armed in it
//!   thread      the thread that sleeps for all of them                ringing    telling all who wait for an object
//! ```
//!
//! What is in the segment, and why no wake is lost, stands in [`wait::bell`](crate::wait).
//!
//! *Why a thread.* A descriptor of one process could be rung by another in three ways. Handing it over a socket asks every pair of
//! processes to meet once more, and leaves one descriptor of each in the other. Fetching it (`pidfd_getfd`) needs the right to debug the other, which
//! containers do not give. A socket or pipe with a name is one namespace more to share, and anonymous segments have no name. The futex is
//! what all processes that share a segment share already; so the process that waits has a thread that sleeps on futexes, of up to 63
//! participations, and rings for its own process.
//!
//! *What it costs.* A thread, started when something is first armed, and one more thread switch for each wake: some microseconds more than sleeping on
//! the object itself. The side that makes things ready pays as ever: nothing if nobody armed, else one system call for each arming.

mod alarm;
mod armer;
mod listening;
mod ringing;
mod thread;

pub(crate) use self::{alarm::Alarm, armer::Armer, ringing::ring_everyone};
pub use alarm::Notifier;
