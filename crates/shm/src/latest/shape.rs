//! Where the parts of a value lie in its segment, and what is put in order there when a participant is gone.
//!
//! ```text
//!   0        384                 384 + readers × 128
//!   ┌────────┬──────────────────┬──────────────────────────────────┐
//!   │control │ readers × 128    │ (readers + 2) buffers            │    buffer: written at u64 (monotonic, ns), value
//!   └────────┴──────────────────┴──────────────────────────────────┘
//! ```

use super::cells::{Cells, Control, MAX_READERS, Reading};
use crate::{
    death::Death,
    error::Result,
    header::Kind,
    layout::ParticipantId,
    ring::hold,
    segment::{Pinned, Segment},
    sync::{AtomicU64, Ordering::*},
    wait::{EventCount, Fence},
};

/// The parts of a value.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) control: Pinned<Control>,
    readers: Pinned<[Reading]>,
    words: Pinned<[AtomicU64]>,
    stride: usize,
}

/// Words of a buffer for a value of `size` bytes: no two in one pair of lines.
pub(crate) const fn stride(size: u64) -> u64 {
    (1 + size.div_ceil(8)).next_multiple_of(16)
}

/// Bytes that a value of `size` bytes for so many readers takes.
pub(super) const fn bytes(size: u64, readers: u32) -> u64 {
    size_of::<Control>() as u64 + readers as u64 * size_of::<Reading>() as u64 + (readers as u64 + 2) * stride(size) * 8
}

/// For how many readers a value of `size` bytes in so many bytes is; the number follows from the length.
pub(crate) fn readers(size: u64, len: u64) -> Option<u32> {
    (1..=MAX_READERS).find(|readers| size < 1 << 40 && bytes(size, *readers) == len)
}

/// The word that names a participant in a reader's row.
pub(super) const fn owner_word(owner: ParticipantId) -> u64 {
    (owner.generation as u64) << 16 | owner.slot as u64
}

/// The slot that such a word names; 0 nobody.
pub(super) const fn owner_slot(word: u64) -> u32 {
    (word & 0xffff) as u32
}

impl Parts {
    /// The parts in `segment`, which says how long its value is.
    pub(super) fn of(segment: &Segment) -> Result<Self> {
        let data = segment.data();
        let size = segment.header().element.size;
        let readers = readers(size, data.len()).ok_or_else(|| {
            segment.corrupt(format!(
                "the length of a value of {size} bytes with 1 to {MAX_READERS} readers, came {}",
                data.len()
            ))
        })?;
        let stride = usize::try_from(stride(size)).expect("it is shorter than the segment");
        let first_reader = size_of::<Control>() as u64;
        let first_buffer = first_reader + u64::from(readers) * size_of::<Reading>() as u64;
        Ok(Self {
            control: data.record(0)?,
            readers: data.records(first_reader, readers as usize)?,
            words: data.records(first_buffer, (readers as usize + 2) * stride)?,
            stride,
        })
    }

    /// # Safety
    ///
    /// Whoever keeps the cells keeps a handle of the segment in the same value.
    pub(super) unsafe fn cells(&self) -> Cells<'static> {
        // SAFETY: the caller's promise.
        let (control, readers, words) = unsafe { (hold(&*self.control), hold(&*self.readers), hold(&*self.words)) };
        Cells::new(control, readers, words, self.stride)
    }
}

/// A participant is gone: its rows are free, and whoever waits for the writer looks again.
pub(crate) fn recover(death: &Death<'_>) -> Result<()> {
    if death.segment.header().kind != Kind::Latest {
        return Ok(());
    }
    let parts = Parts::of(death.segment)?;
    // SAFETY: the death has a handle of the segment, and the cells end before it.
    let cells = unsafe { parts.cells() };
    let gone = owner_word(death.gone);
    for (row, reader) in cells.readers.iter().enumerate() {
        if reader.owner.load(Relaxed) == gone {
            cells.close_for(row);
            // Release: who takes the row finds it closed.
            let _ = reader.owner.compare_exchange(gone, 0, Release, Relaxed);
        }
    }
    let changed: &EventCount = &parts.control.changed;
    // Who armed is told by the change of the membership, which follows.
    let _ = changed.notify(Fence::Full);
    Ok(())
}
