//! Where the parts of a lock lie in the data section of a segment that has one lock.
//!
//! ```text
//!   0      64
//!   ┌──────┬──────────────────────┬────────────────┬───────────────────────────────┐
//!   │ none │ counts, n × u64      │ journal        │ data: one copy, or two        │     each part begins at a multiple of 64
//!   └──────┴──────────────────────┴────────────────┴───────────────────────────────┘
//! ```
//!
//! The cell names the places, so segments with several locks need nothing new. Place 0 means that there is no such part.

use crate::{
    error::{Error, Result},
    layout::{LockCell, store_text},
    segment::{Pinned, Segment},
    sync::{AtomicU64, Ordering::Relaxed},
};

/// What a cell is the lock of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockKind {
    /// Nothing yet.
    Unused,
    /// One holder.
    Mutex,
    /// Many readers or one writer.
    RwLock,
    /// So many holders.
    Semaphore,
    /// Something that this build does not know.
    Other(u32),
}

impl LockKind {
    /// Its number in the cell.
    pub const fn number(self) -> u32 {
        match self {
            Self::Unused => 0,
            Self::Mutex => 1,
            Self::RwLock => 2,
            Self::Semaphore => 3,
            Self::Other(number) => number,
        }
    }

    /// The kind that a number stands for.
    pub const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Unused,
            1 => Self::Mutex,
            2 => Self::RwLock,
            3 => Self::Semaphore,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Display for LockKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unused => f.write_str("unused"),
            Self::Mutex => f.write_str("mutex"),
            Self::RwLock => f.write_str("rwlock"),
            Self::Semaphore => f.write_str("semaphore"),
            Self::Other(number) => write!(f, "lock of kind {number}"),
        }
    }
}

/// What a new lock shall have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) kind: LockKind,
    pub(super) permits: u32,
    /// Bytes of one copy of the data, a multiple of 8.
    pub(super) data: u64,
    /// Bytes of the journal, a multiple of 64; 0 for two copies instead.
    pub(super) journal: u64,
}

const UNIT: u64 = 64;

impl Plan {
    fn counts(&self, participants: u32) -> u64 {
        match self.kind {
            LockKind::RwLock | LockKind::Semaphore => (u64::from(participants) * 8).next_multiple_of(UNIT),
            _ => 0,
        }
    }

    /// Bytes of the data section.
    pub(super) fn bytes(&self, participants: u32) -> u64 {
        let copies = if self.journal > 0 { 1 } else { 2 };
        UNIT + self.counts(participants) + self.journal + copies * self.data
    }

    /// Makes lock `index` of a new segment like this.
    pub(super) fn lay_out(&self, segment: &Segment, index: u32, name: &str) -> Result<()> {
        let cell = segment.lock(index).expect("a lock segment is built with locks");
        let counts = self.counts(segment.header().participants);
        cell.permits.store(self.permits, Relaxed);
        cell.counts.store(if counts > 0 { UNIT } else { 0 }, Relaxed);
        cell.journal.store(if self.journal > 0 { UNIT + counts } else { 0 }, Relaxed);
        cell.data.store(UNIT + counts + self.journal, Relaxed);
        cell.data_len.store(self.data, Relaxed);
        store_text(&cell.name, name);
        // Whoever sees the cell sees the whole segment, which is published as one.
        cell.kind.store(self.kind.number(), Relaxed);
        Ok(())
    }
}

/// The parts of a lock.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) cell: Pinned<LockCell>,
    pub(super) kind: LockKind,
    /// Readers or permits of each participant, by slot less one.
    pub(super) counts: Option<Pinned<[AtomicU64]>>,
    pub(super) data: Data,
}

/// What a lock protects in its segment.
#[derive(Debug)]
pub(super) enum Data {
    None,
    Copies([Pinned<[AtomicU64]>; 2]),
    Journalled { journal: Pinned<[AtomicU64]>, data: Pinned<[AtomicU64]> },
}

impl Parts {
    /// The parts of lock `index`, checked to lie within the segment.
    pub(super) fn of(segment: &Segment, index: u32) -> Result<Self> {
        let table = segment.section(crate::header::SectionKind::Locks);
        if index >= segment.header().locks {
            let what = format!("lock {index} among the {} of the segment", segment.header().locks);
            return Err(segment.corrupt(what));
        }
        let cell: Pinned<LockCell> = table.record(u64::from(index) * u64::from(table.stride()))?;
        let section = segment.data();
        let words = |at: u64, bytes: u64| section.records::<AtomicU64>(at, usize_of(bytes / 8));
        let kind = LockKind::from_number(cell.kind.load(Relaxed));
        let counts = match cell.counts.load(Relaxed) {
            0 => None,
            at => Some(words(at, u64::from(segment.header().participants) * 8)?),
        };
        let (at, bytes) = (cell.data.load(Relaxed), cell.data_len.load(Relaxed));
        // A value may be aligned so, and is referred to where it lies.
        if bytes != 0 && !at.is_multiple_of(UNIT) {
            return Err(segment.corrupt(format!("data at a multiple of {UNIT}, came {at}")));
        }
        let data = match cell.journal.load(Relaxed) {
            _ if bytes == 0 => Data::None,
            0 => {
                let second = at.checked_add(bytes).ok_or_else(|| segment.corrupt("a length below 2^64"))?;
                Data::Copies([words(at, bytes)?, words(second, bytes)?])
            }
            journal => {
                let length = at.checked_sub(journal).filter(|length| *length >= UNIT);
                let length = length.ok_or_else(|| segment.corrupt("a journal in front of the data"))?;
                Data::Journalled { journal: words(journal, length)?, data: words(at, bytes)? }
            }
        };
        if matches!(kind, LockKind::RwLock | LockKind::Semaphore) && counts.is_none() {
            return Err(segment.corrupt(format!("a {kind} that counts its participants")));
        }
        Ok(Self { cell, kind, counts, data })
    }

    /// The counts; none if the lock has none.
    pub(super) fn counts(&self) -> &[AtomicU64] {
        self.counts.as_deref().unwrap_or(&[])
    }

    pub(super) fn undo(&self) -> super::protocol::Undo<'_> {
        use super::protocol::{Copies, Journal, Undo};
        match &self.data {
            Data::None => Undo::Nothing,
            Data::Copies([one, two]) => Undo::Copies(Copies::new(&self.cell, [one, two])),
            Data::Journalled { journal, data } => Undo::Journal(Journal::new(journal, data)),
        }
    }
}

/// The one kind that a handle is for.
pub(super) fn expect_kind(segment: &Segment, parts: &Parts, kind: LockKind) -> Result<()> {
    if parts.kind == kind {
        return Ok(());
    }
    Err(Error::Spec { what: format!("segment `{}` to have a {kind}, came a {}", segment.label(), parts.kind) })
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("the format is for 64-bit machines")
}
