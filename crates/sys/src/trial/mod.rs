//! Processes to be killed: forks, stops, counted instructions, namespaces, and the POSIX locks to compare with. For tests only.
//!
//! Everything here is safe to call and none of it belongs into a program that does something else: it forks without `exec`, which only a
//! process with one thread may do ([`fork`] refuses otherwise), and it takes over `SIGALRM`, `SIGPROF`, `SIGTRAP`, `SIGUSR1`, `SIGUSR2` and `SIGVTALRM`.

mod act;
mod board;
mod child;
mod deeds;
mod namespace;
mod network;
mod pthread;
mod road;
mod stepper;
mod ticker;
#[cfg(target_arch = "x86_64")]
mod watch;

#[cfg(feature = "crash-points")]
pub(crate) use act::fork_if_told;
pub use {
    act::{Act, act_on_signals},
    board::shared_cells,
    child::{
        Child, Cores, Ended, become_reaper_of_orphans, fork, is_asleep, kill, pin_to_core, set_variable, take_away,
        unpin,
    },
    deeds::{Deed, Pause, die_at_the_end, end_deeds, interrupt_deeds, pause_deeds, resume_deeds},
    namespace::fork_in_own_namespace,
    network::{enter_own_network, tunnel},
    pthread::{Locked, MutexKind, PosixPage},
    road::{Place, Road, Way},
    stepper::{
        CAN_STEP, Counting, count_instructions, count_on, die_after, die_at_change, die_behind, leave, meets_point,
        stop_counting, survey,
    },
    ticker::tick,
};
