//! What the words of a lock's cell mean.
//!
//! ```text
//!   word    bit 0: somebody waits │ bits 1..=10: slot of the holder, 0 free │ bits 11..=31: its generation, truncated
//!   signal  bit 0: somebody waits │ the rest counts up: for those who wait for something else than the word
//!   death   low half: word of the last dead holder, bit 0 set if only a thread of it ended
//!           high half: bit 0: its open write was undone │ the rest: deaths not told yet
//!   count   bits 0..=19: readers in, or permits held │ bits 20..=31: deaths not told yet │ bits 32..: generation of the last dead
//! ```

use super::{
    faults::{Fault, is_kept},
    orderings,
};
use crate::{
    layout::LockCell,
    sync::{AtomicU32, Ordering::Relaxed, futex_wake},
};

/// Bit 0 of the word and of the signal: somebody waits.
pub(super) const WAITERS: u32 = 1;

/// The highest slot that a word can name.
pub(crate) const SLOT_MAX: u32 = (1 << 10) - 1;

/// A participant as a lock word names it: slot and truncated generation, never the waiters' bit, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder(u32);

impl Holder {
    /// # Panics
    ///
    /// If the slot is 0 or does not fit: slots come from a table that is checked when the segment is opened.
    pub(crate) fn new(slot: u32, generation: u32) -> Self {
        assert!((1..=SLOT_MAX).contains(&slot), "slot {slot} is not within 1 to {SLOT_MAX}");
        Self(slot << 1 | generation << 11)
    }

    pub(super) const fn from_word(word: u32) -> Self {
        Self(word & !WAITERS)
    }

    /// The word that says: this participant holds it and nobody waits.
    pub(crate) const fn word(self) -> u32 {
        self.0
    }

    pub(crate) const fn slot(self) -> u32 {
        (self.0 >> 1) & SLOT_MAX
    }

    /// The low 21 bits of the generation.
    pub(crate) const fn generation(self) -> u32 {
        self.0 >> 11
    }
}

/// Who holds the lock according to its word.
pub(crate) const fn holder_of(word: u32) -> Option<Holder> {
    match word & !WAITERS {
        0 => None,
        holder => Some(Holder(holder)),
    }
}

/// Tells those who wait for something else than the word that it may have come true. All wake.
///
/// To be called after the change and a full fence: either we see the bit of a waiter, or it sees the change before it sleeps. True if there was
/// one.
pub(super) fn raise_signal(signal: &AtomicU32) -> bool {
    let mut seen = signal.load(Relaxed);
    while seen & WAITERS != 0 {
        // Odd to even: the bit goes, the number grows.
        match signal.compare_exchange(seen, seen.wrapping_add(1), orderings::signal(), Relaxed) {
            Ok(_) => {
                if is_kept(Fault::WakeOnSignal) {
                    futex_wake(signal, u32::MAX);
                }
                return true;
            }
            Err(now) => seen = now,
        }
    }
    false
}

/// Asks for the signal when a condition may have come true; the number to sleep on. The condition must be looked at once more before that.
pub(super) fn ask_for_signal(signal: &AtomicU32) -> u32 {
    if !is_kept(Fault::SignalBit) {
        return signal.load(orderings::signal_seen());
    }
    // Pairs with `signal`: whoever raised it before has counted itself down, which the next look sees.
    let asked = signal.fetch_or(WAITERS, orderings::signal_seen()) | WAITERS;
    // Pairs with the fence in `read_done`.
    orderings::full_fence_after_rmw(Fault::SignalFence);
    asked
}

/// Notes since when the lock is held, if nobody has for this acquisition. `wall` is the time, asked only then.
///
/// The holder of a free lock does not look at the clock, which would cost it more than the lock. So what stands here is when somebody first
/// saw that it must wait, or the holder's own note if it had to wait itself. Races are harmless: all write about the same.
pub(crate) fn note_since(cell: &LockCell, wall: impl FnOnce() -> u64) {
    let token = cell.token.load(Relaxed);
    if cell.since_token.load(Relaxed) != token {
        cell.since.store(wall(), Relaxed);
        cell.since_token.store(token, Relaxed);
    }
}

pub(super) const fn low(pair: u64) -> u32 {
    (pair & 0xffff_ffff) as u32
}

pub(super) const fn high(pair: u64) -> u32 {
    (pair >> 32) as u32
}

pub(super) const fn join(low: u32, high: u32) -> u64 {
    (high as u64) << 32 | low as u64
}
