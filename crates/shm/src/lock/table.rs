//! Who holds the locks of a segment, and who waits for them: for people and tools. Nothing here takes part.

use crosstie_core::{FencingToken, Wall};

use super::{
    plan::{LockKind, Parts},
    protocol::{COUNT, holder_of},
};
use crate::{
    error::Result,
    layout::{ParticipantId, load_text},
    segment::Segment,
    sync::Ordering::Relaxed,
};

/// One lock, as it was a moment ago. The numbers were read one by one, so they need not belong to one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockStatus {
    /// Its place in the lock table.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: LockKind,
    /// Who has it: the holder or writer, or each process that reads or has permits.
    pub holders: Vec<LockHolder>,
    /// Which threads have waited for it for more than a millisecond.
    pub waiters: Vec<LockWaiter>,
    /// Permits in all, of a semaphore.
    pub permits: u32,
    /// Acquisitions so far: of a mutex, by writers, or of permits, be it one or several.
    pub acquisitions: FencingToken,
    /// Acquisitions that had to wait.
    pub waits: u64,
    /// Deaths of holders so far.
    pub recoveries: u64,
    /// Deaths of holders that nobody has been told of yet.
    pub untold: u32,
    /// Commits so far, of a value in two copies.
    pub commits: u64,
}

/// One who has a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Which participant.
    pub who: ParticipantId,
    /// How.
    pub part: HeldPart,
    /// Since when, as the first noted who had to wait: the holder of a free lock does not look at the clock. `None` if nobody waited.
    pub since: Option<Wall>,
}

/// What somebody has of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldPart {
    /// All of it, or the right to write.
    Whole,
    /// So many readers.
    Readers(u32),
    /// So many permits.
    Permits(u32),
}

/// A thread that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockWaiter {
    /// Of which participant.
    pub who: ParticipantId,
    /// The thread, a number of its process's own.
    pub thread: u32,
    /// Since when.
    pub since: Wall,
}

impl Segment {
    /// The locks of the segment that are in use.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn locks(&self) -> Result<Vec<LockStatus>> {
        let mut found = Vec::new();
        for index in 0..self.header().locks {
            let parts = Parts::of(self, index)?;
            if parts.kind != LockKind::Unused {
                found.push(status(self, index, &parts));
            }
        }
        Ok(found)
    }
}

fn status(segment: &Segment, index: u32, parts: &Parts) -> LockStatus {
    let cell = &parts.cell;
    let token = cell.token.load(Relaxed);
    let id = |slot: u32| ParticipantId {
        slot,
        generation: segment.participant(slot).map_or(0, |place| place.generation.load(Relaxed)),
    };
    let since = (cell.since_token.load(Relaxed) == token).then(|| Wall::from_unix_nanos(cell.since.load(Relaxed)));
    let mut holders = Vec::new();
    // The word of a semaphore is taken for a few instructions only.
    if parts.kind != LockKind::Semaphore
        && let Some(holder) = holder_of(cell.word.load(Relaxed))
    {
        holders.push(LockHolder { who: id(holder.slot()), part: HeldPart::Whole, since });
    }
    for (slot, count) in (1..).zip(parts.counts()) {
        let count = u32::try_from(count.load(Relaxed) & COUNT).expect("twenty bits");
        if count > 0 {
            let part = if parts.kind == LockKind::Semaphore { HeldPart::Permits } else { HeldPart::Readers };
            holders.push(LockHolder { who: id(slot), part: part(count), since: None });
        }
    }
    let mut waiters = Vec::new();
    for slot in 1..=segment.header().participants {
        for entry in segment.waits(slot).iter().flat_map(|row| &row.entries) {
            if entry.lock.load(Relaxed) == index + 1 {
                let since = Wall::from_unix_nanos(entry.since.load(Relaxed));
                waiters.push(LockWaiter { who: id(slot), thread: entry.thread.load(Relaxed), since });
            }
        }
    }
    LockStatus {
        index,
        name: load_text(&cell.name),
        kind: parts.kind,
        holders,
        waiters,
        permits: cell.permits.load(Relaxed),
        acquisitions: FencingToken::new(token),
        waits: cell.waits.load(Relaxed),
        recoveries: cell.recoveries.load(Relaxed),
        untold: u32::try_from(cell.death.load(Relaxed) >> 33).unwrap_or(u32::MAX),
        commits: cell.version.load(Relaxed),
    }
}
