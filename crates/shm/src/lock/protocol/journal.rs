//! Before-images of what a transaction changes, so that it can be undone by anybody.
//!
//! ```text
//!   ┌───────┬───────┬─────────────────────────────┬─────────────────────────────┬──────┐
//!   │ count │ used  │ at │ length │ old words …   │ at │ length │ old words …   │      │     all in words of 8 bytes
//!   └───────┴───────┴─────────────────────────────┴─────────────────────────────┴──────┘
//! ```
//!
//! An entry is complete before the count includes it, and the count includes it before the bytes change; so whatever has changed can be put
//! back. `used` is for the holder alone: who recovers counts through the entries. To commit is to store count 0.

use super::orderings;
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Words in front of the first entry.
const HEADER: usize = 2;
/// The same in bytes.
pub(crate) const JOURNAL_HEADER: u64 = HEADER as u64 * 8;
/// Words of an entry in front of what it keeps.
const ENTRY: usize = 2;

/// The journal of a transaction and the words it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Journal<'a> {
    words: &'a [AtomicU64],
    data: &'a [AtomicU64],
}

/// Why a range was not journalled. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalError {
    /// The journal has no room: so many words are needed, so many are left.
    Full {
        /// Words that the entry takes.
        needed: usize,
        /// Words that are left.
        left: usize,
    },
    /// The range is not within the data.
    OutOfRange,
}

impl<'a> Journal<'a> {
    /// # Panics
    ///
    /// If there is no room for the count.
    #[inline]
    pub(crate) fn new(words: &'a [AtomicU64], data: &'a [AtomicU64]) -> Self {
        assert!(words.len() >= HEADER, "a journal has room for its count");
        Self { words, data }
    }

    /// Keeps the words `at` to `at + length`, so that they may be changed from here on. For the holder.
    ///
    /// # Errors
    ///
    /// [`JournalError`]: they may not be changed.
    pub(crate) fn keep(&self, at: usize, length: usize) -> Result<(), JournalError> {
        let range = at.checked_add(length).and_then(|end| self.data.get(at..end)).ok_or(JournalError::OutOfRange)?;
        let count = self.words[0].load(Relaxed);
        // What a holder before us left there counts for nothing when there are no entries.
        let used = if count == 0 { 0 } else { usize_of(self.words[1].load(Relaxed)) };
        let (start, needed) = (HEADER.saturating_add(used), ENTRY + length);
        let left = self.words.len().saturating_sub(start);
        // No journal has more entries than words: a count that says so comes from damage, and makes no room.
        if needed > left || count >= self.words.len() as u64 {
            return Err(JournalError::Full { needed, left });
        }
        let entry = &self.words[start..start + needed];
        entry[0].store(at as u64, Relaxed);
        entry[1].store(length as u64, Relaxed);
        for (kept, word) in entry[ENTRY..].iter().zip(range) {
            kept.store(word.load(Relaxed), Relaxed);
        }
        self.words[1].store((used + needed) as u64, Relaxed);
        // Pairs with `journal_read`: the entry is complete.
        self.words[0].store(count + 1, orderings::journal_count());
        // The count before the bytes: who finds a changed byte finds the entry. The dead one's stores are seen in the order of this fence.
        orderings::journal_before_data();
        Ok(())
    }

    /// Makes what was changed count. For the holder.
    #[inline]
    pub(crate) fn commit(&self) {
        // Pairs with `journal_read`: the changes come before.
        self.words[0].store(0, orderings::journal_count());
    }

    /// True if something was kept and neither committed nor undone.
    pub(crate) fn is_open(&self) -> bool {
        self.words[0].load(Relaxed) != 0
    }

    /// Puts everything back, the last first. For the holder, or who recovers for it; may be done again.
    ///
    /// Entries that do not fit into the journal or the data end it: they can only come from a process that wrote where it should not, and nothing is
    /// written out of bounds for it.
    pub(crate) fn undo(&self) {
        // Pairs with `journal_count`: the entries are complete.
        let count = self.entries(self.words[0].load(orderings::journal_read()));
        // Entries are found from the front and needed from the back. Without memory for a list of them the way is gone again for each, which
        // costs the square of their number; so some are remembered.
        let mut left = count;
        while left > 0 {
            let mut batch = [(0, 0, 0); REMEMBERED];
            let first = left.saturating_sub(REMEMBERED as u64);
            let mut found = 0;
            let mut start = HEADER;
            for number in 0..left {
                let Some((at, length)) = self.entry(start) else { break };
                if number >= first {
                    batch[found] = (start, at, length);
                    found += 1;
                }
                start += ENTRY + length;
            }
            for &(start, at, length) in batch[..found].iter().rev() {
                let kept = &self.words[start + ENTRY..start + ENTRY + length];
                for (word, kept) in self.data[at..at + length].iter().zip(kept) {
                    word.store(kept.load(Relaxed), Relaxed);
                }
            }
            left = first;
        }
        // Pairs with `journal_read` of who recovers after us: it is all put back.
        self.words[0].store(0, orderings::journal_count());
    }

    /// How many of the `count` entries that the journal is said to have are there. A damaged count would be counted down for years.
    fn entries(&self, count: u64) -> u64 {
        let (mut found, mut start) = (0, HEADER);
        while found < count
            && let Some((_, length)) = self.entry(start)
        {
            start += ENTRY + length;
            found += 1;
        }
        found
    }

    /// The range of the entry that begins at `start`, if it is within the bounds.
    fn entry(&self, start: usize) -> Option<(usize, usize)> {
        let at = usize_of(self.words.get(start)?.load(Relaxed));
        let length = usize_of(self.words.get(start + 1)?.load(Relaxed));
        self.words.get(start + ENTRY..(start + ENTRY).checked_add(length)?)?;
        self.data.get(at..at.checked_add(length)?)?;
        Some((at, length))
    }
}

/// Entries whose place is remembered while undoing.
const REMEMBERED: usize = 64;

const fn usize_of(word: u64) -> usize {
    // The format is for 64-bit machines.
    word as usize
}
