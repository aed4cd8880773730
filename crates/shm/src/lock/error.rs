//! Why a lock was not got.

use crate::{error::Error, layout::ParticipantId};

/// Why a lock was not got. Nothing is held and nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody holds it, and the caller did not want to wait.
    #[error("expected the lock to be free, {}; wait for it, or try later", holder(*.by))]
    Held {
        /// Who, as far as that could be seen.
        by: Option<ParticipantId>,
    },
    /// The deadline passed.
    #[error("expected the lock before the deadline, {}; `crosstie locks` shows who holds and who waits", holder(*.by))]
    TimedOut {
        /// Who held it last, as far as that could be seen.
        by: Option<ParticipantId>,
    },
    /// This very thread holds it already: it would wait for itself.
    #[error("expected a lock that this thread does not hold; it would wait for itself: drop the guard first")]
    HeldByThisThread,
    /// There are not so many permits, so waiting for them would never end.
    #[error("expected at most {permits} permits to be asked for, came {asked}: the semaphore has no more")]
    TooMany {
        /// So many were asked for.
        asked: u32,
        /// So many there are.
        permits: u32,
    },
    /// This process has so many readers in that no more can be counted: guards that were forgotten, not dropped.
    #[error(
        "expected fewer than {readers} readers of this process; guards are forgotten instead of dropped: drop them"
    )]
    TooManyReaders {
        /// So many are in, and no more can be.
        readers: u32,
    },
    /// The segment cannot be used.
    #[error(transparent)]
    Segment(#[from] Error),
}

fn holder(by: Option<ParticipantId>) -> String {
    by.map_or_else(|| "several hold it".to_owned(), |by| format!("participant {by} holds it"))
}

impl LockError {
    /// True if waiting longer may help: somebody else has the lock.
    pub const fn is_contention(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::TimedOut { .. })
    }
}
