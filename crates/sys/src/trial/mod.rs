//! Processes to be killed: forks, stops, single steps, namespaces, and the POSIX locks to compare with. For tests only.
//!
//! Everything here is safe to call and none of it belongs into a program that does something else: it forks without `exec`, which only a
//! process with one thread may do ([`fork`] refuses otherwise), and it takes over `SIGALRM`, `SIGUSR1` and `SIGUSR2`.

mod act;
mod board;
mod child;
mod namespace;
mod pthread;
mod ticker;
mod traced;

pub use {
    act::{Act, act_on_signals},
    board::shared_cells,
    child::{Child, Ended, become_reaper_of_orphans, fork, is_asleep, kill, pin_to_core, take_away},
    namespace::fork_in_own_namespace,
    pthread::{Locked, MutexKind, PosixPage},
    ticker::tick,
    traced::{Stop, Traced, mark},
};
