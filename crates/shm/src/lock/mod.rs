//! Locks between processes that survive the death of their holder, and the values that they protect.
//!
//! ```text
//! protocol   the algorithms, over words          handle    a lock of a segment, as this process sees it
//! acquired   what an acquisition yields          waiting   how this process sleeps, and says so in the segment
//! error      why there was none                  watch     the thread that sees others die
//! plan       where a lock's parts lie            threads   numbers of threads, and what they leave behind
//! value      a value in two copies               recover   what is done for a participant that is gone
//! mutex · rwlock · semaphore · region · tx_region          what a user meets
//! table      who holds and who waits, for people       outside   the value, for people
//! ```

#[cfg_attr(loom, allow(dead_code, unused_imports, reason = "what wraps the protocol is not modelled"))]
mod protocol;

#[cfg(not(loom))]
mod acquired;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod handle;
#[cfg(not(loom))]
mod mutex;
#[cfg(not(loom))]
mod outside;
#[cfg(not(loom))]
mod plan;
#[cfg(not(loom))]
mod recover;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod rwlock;
#[cfg(not(loom))]
mod semaphore;
#[cfg(not(loom))]
mod table;
#[cfg(not(loom))]
mod threads;
#[cfg(not(loom))]
mod tx_region;
#[cfg(not(loom))]
mod value;
#[cfg(not(loom))]
mod waiting;
#[cfg(not(loom))]
mod watch;

#[cfg(not(loom))]
pub use self::{
    acquired::{Acquired, LockOutcome, Recovery},
    error::LockError,
    mutex::{Mutex, MutexGuard, MutexWaiter},
    plan::LockKind,
    region::{Fenced, Region, RegionGuard, RegionWaiter},
    rwlock::{ReadGuard, RwLock, RwLockWaiter, WriteGuard},
    semaphore::{Permit, PermitWaiter, Semaphore},
    table::{HeldPart, LockHolder, LockStatus, LockWaiter},
    tx_region::{TxError, TxGuard, TxRegion, TxWaiter},
};
#[cfg(not(loom))]
pub(crate) use self::{outside::value_behind_lock, recover::recover_locks, watch::is_watched};
