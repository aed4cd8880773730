//! Two copies of a value, one of them committed.
//!
//! ```text
//!   version even ──► current is copy 0        writing = version        no write is open
//!   version odd  ──► current is copy 1        writing = version + 1    the other copy is being written
//! ```
//!
//! Nothing is ever written to the current copy, so a death at any instant leaves it as it was: to recover is to forget that something
//! was announced. One who reads without the lock copies the current copy and then looks whether the write *after next* was announced, which
//! is the first that touches that copy again.

use super::{
    faults::{Fault, is_kept},
    orderings,
};
use crate::{
    layout::LockCell,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// The copies of one lock's value. Both have the same number of words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copies<'a> {
    cell: &'a LockCell,
    words: [&'a [AtomicU64]; 2],
}

impl<'a> Copies<'a> {
    /// # Panics
    ///
    /// If the copies differ in length.
    #[inline]
    pub(crate) fn new(cell: &'a LockCell, words: [&'a [AtomicU64]; 2]) -> Self {
        assert_eq!(words[0].len(), words[1].len(), "both copies are of one type");
        Self { cell, words }
    }

    /// The current copy, for one who keeps writers out.
    #[inline]
    pub(crate) fn current(&self) -> &'a [AtomicU64] {
        self.of(self.cell.version.load(Relaxed))
    }

    /// The copy of that version.
    #[inline(always)]
    fn of(&self, version: u64) -> &'a [AtomicU64] {
        let [even, odd] = self.words;
        if version & 1 == 0 { even } else { odd }
    }

    /// Says that a write begins. For the holder; may be said again.
    #[inline]
    pub(crate) fn announce(&self) {
        if is_kept(Fault::Announcement) {
            self.cell.writing.store(self.cell.version.load(Relaxed).wrapping_add(1), Relaxed);
        }
        // Pairs with `snapshot_done`.
        orderings::write_announced();
    }

    /// Makes `value` the current one; returns its version. For the holder, after [`Copies::announce`].
    #[inline]
    pub(crate) fn commit(&self, value: &[u64]) -> u64 {
        let version = self.cell.version.load(Relaxed).wrapping_add(1);
        for (word, value) in self.of(version).iter().zip(value) {
            word.store(*value, Relaxed);
        }
        // Pairs with `version_seen`.
        self.cell.version.store(version, orderings::commit());
        version
    }

    /// Forgets what was announced and not committed. For the holder, or who recovers for it; may be done again.
    #[inline]
    pub(crate) fn forget(&self) {
        self.cell.writing.store(self.cell.version.load(Relaxed), Relaxed);
    }

    /// True if a write was announced and neither committed nor forgotten.
    pub(crate) fn is_open(&self) -> bool {
        self.cell.writing.load(Relaxed) != self.cell.version.load(Relaxed)
    }

    /// Copies the current value without the lock; its version, or `None` if two writers came by meanwhile: `value` is torn then.
    pub(crate) fn snapshot(&self, value: &mut [u64]) -> Option<u64> {
        // Pairs with `commit`.
        let version = self.cell.version.load(orderings::version_seen());
        for (word, value) in self.of(version).iter().zip(value) {
            *value = word.load(Relaxed);
        }
        // Pairs with `write_announced`: who has read a word of a later write sees that it was announced.
        orderings::snapshot_done();
        let is_whole = self.cell.writing.load(Relaxed).wrapping_sub(version) <= 1;
        (is_whole || !is_kept(Fault::SnapshotCheck)).then_some(version)
    }
}
