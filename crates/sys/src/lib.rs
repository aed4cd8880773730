//! The operating system: the only Crosstie crate that may call it with unsafe code.
//!
//! Where rustix gives a safe call, that one is used. Two features are for tests: `trial` (processes to be killed) and `crash-points`
//! (named places where a process may end).

mod crash;
mod limits;
mod poller;
#[cfg(feature = "trial")]
pub mod trial;

#[cfg(feature = "crash-points")]
pub use crate::crash::{CrashPlan, hit, plan_crash};
pub use crate::{
    limits::raise_descriptor_limit,
    poller::{Event, Interest, Poller, Waker},
};
