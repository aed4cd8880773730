//! Processes to be killed: forks, stops, counted instructions, namespaces, and the POSIX locks to compare with. For tests only.
//!
//! Everything here is safe to call and none of it belongs into a program that does something else: it forks without `exec`, which only a
//! process with one thread may do ([`fork`] refuses otherwise), and it takes over `SIGALRM`, `SIGTRAP`, `SIGUSR1`, `SIGUSR2` and `SIGVTALRM`.

mod act;
mod board;
mod child;
mod namespace;
mod pthread;
mod stepper;
mod ticker;

#[cfg(feature = "crash-points")]
pub(crate) use act::fork_if_told;
pub use {
    act::{Act, act_on_signals},
    board::shared_cells,
    child::{Child, Cores, Ended, become_reaper_of_orphans, fork, is_asleep, kill, pin_to_core, take_away, unpin},
    namespace::fork_in_own_namespace,
    pthread::{Locked, MutexKind, PosixPage},
    stepper::{CAN_STEP, Counting, Way, count_instructions, count_on, die_after, die_behind, leave, stop_counting},
    ticker::tick,
};
