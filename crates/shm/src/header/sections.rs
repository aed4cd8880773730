//! The table that says where the parts of a segment are.

use std::fmt;

use super::{
    bytes::{Reader, Writer},
    refusal::Refusal,
};
use crate::layout::{EventRow, LockCell, PAGE, ParticipantSlot, WaiterRow};

/// Rows of the table.
const ROWS: usize = 16;

/// A part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SectionKind {
    /// Who takes part.
    Participants,
    /// Which locks there are, and who holds them.
    Locks,
    /// Who waits for which.
    Waiters,
    /// The last acts of each participant.
    Events,
    /// What the segment is for.
    Data,
}

impl SectionKind {
    /// All of them, in the order in which they lie in memory.
    pub const ALL: [Self; 5] = [Self::Participants, Self::Locks, Self::Waiters, Self::Events, Self::Data];

    /// Its number in the table.
    pub const fn number(self) -> u32 {
        match self {
            Self::Participants => 1,
            Self::Locks => 2,
            Self::Waiters => 3,
            Self::Events => 4,
            Self::Data => 5,
        }
    }

    /// The part that a number stands for, if this build knows it.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Bytes of a row as this build reads it; a later one may make rows longer.
    pub(crate) const fn row(self) -> u32 {
        let size = match self {
            Self::Participants => size_of::<ParticipantSlot>(),
            Self::Locks => size_of::<LockCell>(),
            Self::Waiters => size_of::<WaiterRow>(),
            Self::Events => size_of::<EventRow>(),
            Self::Data => 1,
        };
        #[expect(clippy::cast_possible_truncation, reason = "rows have at most 8 KiB")]
        {
            size as u32
        }
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participants => "participants",
            Self::Locks => "locks",
            Self::Waiters => "waiters",
            Self::Events => "events",
            Self::Data => "data",
        })
    }
}

/// One row of the table: where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionRow {
    /// The number of a [`SectionKind`], or of a part that this build does not know.
    pub kind: u32,
    /// From one row of the part to the next, in bytes.
    pub stride: u32,
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
}

pub(super) fn encode(rows: &[SectionRow], to: &mut Writer<'_>) {
    assert!(rows.len() <= ROWS, "the table has {ROWS} rows");
    let none = SectionRow { kind: 0, stride: 0, offset: 0, len: 0 };
    for row in rows.iter().chain(std::iter::repeat(&none)).take(ROWS) {
        to.u32(row.kind);
        to.u32(row.stride);
        to.u64(row.offset);
        to.u64(row.len);
        to.u64(0);
    }
}

pub(super) fn decode(from: &mut Reader<'_>) -> Vec<SectionRow> {
    let mut rows = Vec::new();
    for _ in 0..ROWS {
        let row = SectionRow { kind: from.u32(), stride: from.u32(), offset: from.u64(), len: from.u64() };
        from.u64();
        if row.kind == 0 {
            break;
        }
        rows.push(row);
    }
    rows
}

/// Every part lies within the segment, and those that this build knows have the rows that it will look for.
pub(super) fn check(rows: &[SectionRow], len: u64, participants: u32, locks: u32) -> Result<(), Refusal> {
    let refuse = |what: String| Err(Refusal::Numbers(what));
    let name = |row: &SectionRow| {
        SectionKind::from_number(row.kind).map_or_else(|| format!("part {}", row.kind), |kind| kind.to_string())
    };
    for row in rows {
        let end = row.offset.checked_add(row.len);
        if row.offset < PAGE || !row.offset.is_multiple_of(PAGE) || end.is_none_or(|end| end > len) {
            let what =
                format!("`{}` on a page within {len} bytes, came {} bytes at {}", name(row), row.len, row.offset);
            return refuse(what);
        }
    }
    for (at, row) in rows.iter().enumerate() {
        // There are few rows, and this is not done often. The ends do not overflow: they are within the segment.
        for other in &rows[at + 1..] {
            let is_empty = row.len == 0 || other.len == 0;
            let is_apart = is_empty || row.offset >= other.offset + other.len || other.offset >= row.offset + row.len;
            if other.kind == row.kind || !is_apart {
                let what = format!("parts that are apart, came `{}` and another at {}", name(row), other.offset);
                return refuse(what);
            }
        }
    }
    for kind in SectionKind::ALL {
        let count = match kind {
            SectionKind::Participants | SectionKind::Waiters | SectionKind::Events => u64::from(participants),
            SectionKind::Locks => u64::from(locks),
            SectionKind::Data => 0,
        };
        let Some(row) = rows.iter().find(|row| row.kind == kind.number()) else {
            return refuse(format!("a part `{kind}`, came none"));
        };
        if row.stride < kind.row() || !row.stride.is_multiple_of(8) && kind != SectionKind::Data {
            return refuse(format!("rows of at least {} bytes in `{kind}`, came {}", kind.row(), row.stride));
        }
        if count * u64::from(row.stride) > row.len {
            return refuse(format!("{count} rows of {} bytes in `{kind}`, came {} bytes in all", row.stride, row.len));
        }
    }
    Ok(())
}
