//! Where the buffers of a pool lie in its segment, and what is put in order there when a participant is gone.
//!
//! ```text
//!   0             256       384                384 + buffers × 64, to the next page
//!   ┌─────────────┬─────────┬──────────────────┬─────────────────────────────────┐
//!   │16 × {size   │ freed   │ cells, 64 bytes  │ buffers, class after class,     │
//!   │ u64, count} │         │ each             │ each aligned to 64 bytes        │
//!   └─────────────┴─────────┴──────────────────┴─────────────────────────────────┘
//! ```

use super::cells::{Cell, withdraw};
use crate::{
    death::Death,
    error::{Error, Result},
    header::Kind,
    layout::PAGE,
    segment::{Pinned, Segment},
    sync::{AtomicU64, Ordering::Relaxed},
    wait::{EventCount, Fence},
};

/// The most size classes.
pub(super) const MAX_CLASSES: usize = 16;
/// The most buffers of all classes together.
const MAX_BUFFERS: u64 = 1 << 20;
/// No buffer is as long.
const MAX_BYTES: u64 = 1 << 38;
const TABLE: u64 = MAX_CLASSES as u64 * 16;
const FREED: u64 = 128;

/// Buffers of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeClass {
    /// The longest that fits into a buffer, in bytes.
    pub bytes: u64,
    /// How many there are.
    pub buffers: u32,
}

/// A class and where its buffers are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) class: SizeClass,
    /// The number of its first buffer.
    pub(super) first: u32,
    /// Where that one is in the data section.
    at: u64,
}

impl Placed {
    pub(super) const fn has(&self, index: u32) -> bool {
        index >= self.first && index - self.first < self.class.buffers
    }

    /// Where buffer `index` is in the data section.
    pub(super) const fn place(&self, index: u32) -> u64 {
        self.at + (index - self.first) as u64 * self.class.bytes.next_multiple_of(64)
    }
}

/// Lays the classes out; the length of it all comes with them.
///
/// # Errors
///
/// [`Error::Spec`] if there are none or too many, or one is empty.
pub(super) fn lay_out(classes: &[SizeClass]) -> Result<(Vec<Placed>, u64)> {
    let buffers: u64 = classes.iter().map(|class| u64::from(class.buffers)).sum();
    let is_right = |class: &SizeClass| class.bytes > 0 && class.bytes < MAX_BYTES && class.buffers > 0;
    if classes.is_empty() || classes.len() > MAX_CLASSES || buffers > MAX_BUFFERS || !classes.iter().all(is_right) {
        let what = format!(
            "1 to {MAX_CLASSES} size classes, none empty, each of less than {MAX_BYTES} bytes, with at most {MAX_BUFFERS} buffers in \
             all, came {classes:?}"
        );
        return Err(Error::Spec { what });
    }
    if !classes.is_sorted_by(|one, next| one.bytes < next.bytes) {
        return Err(Error::Spec { what: format!("size classes from small to large, came {classes:?}") });
    }
    let mut at = (TABLE + FREED + buffers * size_of::<Cell>() as u64).next_multiple_of(PAGE);
    let mut first = 0;
    let mut placed = Vec::new();
    for class in classes {
        placed.push(Placed { class: *class, first, at });
        first += class.buffers;
        // Large buffers begin on pages.
        at = (at + u64::from(class.buffers) * class.bytes.next_multiple_of(64)).next_multiple_of(PAGE);
    }
    Ok((placed, at))
}

/// Writes the table of classes into a new segment.
pub(super) fn fill(segment: &Segment, classes: &[SizeClass]) -> Result<()> {
    let table = segment.data().records::<AtomicU64>(0, MAX_CLASSES * 2)?;
    for (row, class) in table.chunks_exact(2).zip(classes) {
        row[0].store(class.bytes, Relaxed);
        row[1].store(class.buffers.into(), Relaxed);
    }
    Ok(())
}

/// The parts of a pool.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) classes: Vec<Placed>,
    pub(super) cells: Pinned<[Cell]>,
    freed: Pinned<EventCount>,
}

impl Parts {
    /// The parts in `segment`, whose table of classes may be damaged.
    pub(super) fn of(segment: &Segment) -> Result<Self> {
        let data = segment.data();
        let table = data.records::<AtomicU64>(0, MAX_CLASSES * 2)?;
        let mut classes = Vec::new();
        for row in table.chunks_exact(2) {
            let (bytes, buffers) = (row[0].load(Relaxed), row[1].load(Relaxed));
            if bytes == 0 {
                break;
            }
            let buffers =
                u32::try_from(buffers).map_err(|_| segment.corrupt(format!("a number of buffers, came {buffers}")))?;
            classes.push(SizeClass { bytes, buffers });
        }
        let (placed, len) = lay_out(&classes).map_err(|error| segment.corrupt(error.to_string()))?;
        if len != data.len() {
            return Err(segment.corrupt(format!("{len} bytes for the classes {classes:?}, came {}", data.len())));
        }
        let buffers: u32 = classes.iter().map(|class| class.buffers).sum();
        Ok(Self { classes: placed, cells: data.records(TABLE + FREED, buffers as usize)?, freed: data.record(TABLE)? })
    }

    /// Rung when a buffer is returned.
    pub(super) fn freed(&self) -> &EventCount {
        &self.freed
    }
}

/// A participant is gone: it holds no buffer any more.
pub(crate) fn recover(death: &Death<'_>) -> Result<()> {
    if death.segment.header().kind != Kind::Pool {
        return Ok(());
    }
    let parts = Parts::of(death.segment)?;
    if withdraw(&parts.cells, death.gone.slot) {
        // Who armed is told by the change of the membership, which follows.
        let _ = parts.freed().notify(Fence::Full);
    }
    Ok(())
}
