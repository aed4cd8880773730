//! Deaths that somebody must be told of: each is told once, to one who then lives long enough to act on it.
//!
//! What is told is struck out when the guard that it was told to goes, not when it comes: if that holder dies as well, the next one hears of
//! both. Where several may be in at a time, one of them at most has the right to be told, so that no death is told twice; the right is in
//! the cell, and is taken back from one who dies with it.

use super::{
    cell::{Holder, high, join, low},
    faults::{Fault, is_kept},
    orderings::{self, full_fence_after_rmw},
};
use crate::{
    layout::LockCell,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// Readers, or permits, in a count.
pub(crate) const COUNT: u64 = (1 << 20) - 1;
/// Where the deaths in a count begin, and the most that there are.
pub(super) const DEAD_SHIFT: u32 = 20;
pub(super) const DEAD_MAX: u64 = 0xfff;

/// Deaths that are told to the guard that has this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deaths {
    /// The slot of the last one that died.
    pub(crate) slot: u32,
    /// Its generation; of a holder, the low 21 bits.
    pub(crate) generation: u32,
    /// Only a thread of it ended; the process lives.
    pub(crate) was_thread: bool,
    /// One of them left an open write behind, which was undone.
    pub(crate) rolled_back: bool,
    /// How many there were.
    pub(crate) count: u32,
}

/// What a guard was told, to be struck out when it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// What to tell the user.
    pub(crate) deaths: Deaths,
    /// The slot whose count they stand in; `None` for deaths of holders.
    counted: Option<u32>,
    is_claim: bool,
}

/// True if there are deaths of holders that nobody was told of.
#[inline(always)]
pub(crate) fn has_untold(cell: &LockCell) -> bool {
    // Relaxed: whoever recovered freed the word afterwards, and we have taken it.
    high(cell.death.load(Relaxed)) >> 1 != 0
}

/// What the only one who is in must be told. It stays the same as long as this one is in: who notes a death finds the dead one in the word.
pub(crate) fn untold(cell: &LockCell) -> Option<Told> {
    deaths_of_holders(cell, cell.death.load(Relaxed), false)
}

#[cold]
#[inline(never)]
fn deaths_of_holders(cell: &LockCell, death: u64, is_claim: bool) -> Option<Told> {
    let count = high(death) >> 1;
    if count == 0 {
        return None;
    }
    let last = Holder::from_word(low(death));
    let deaths = Deaths {
        slot: last.slot(),
        generation: last.generation(),
        was_thread: low(death) & 1 == 1,
        rolled_back: high(death) & 1 == 1,
        count,
    };
    if !is_kept(Fault::AcknowledgedLate) {
        strike_out_holders(cell, count);
    }
    Some(Told { deaths, counted: None, is_claim })
}

/// What one of several must be told, of holders or of those who had something counted: nothing, if somebody else is being told.
#[inline]
pub(crate) fn claim(cell: &LockCell, me: Holder, counts: &[AtomicU64]) -> Option<Told> {
    if high(cell.death.load(Relaxed)) >> 1 == 0 && cell.dead_counts.load(Relaxed) == 0 {
        return None;
    }
    claim_slowly(cell, me, counts)
}

#[cold]
fn claim_slowly(cell: &LockCell, me: Holder, counts: &[AtomicU64]) -> Option<Told> {
    // Pairs with `telling_done`: what the one before was told is struck out in what we read now.
    cell.telling.compare_exchange(0, me.word(), orderings::telling(), Relaxed).ok()?;
    let told = deaths_of_holders(cell, cell.death.load(Relaxed), true).or_else(|| deaths_in_counts(cell, counts));
    if told.is_none() {
        cell.telling.store(0, orderings::telling_done());
    }
    told
}

fn deaths_in_counts(cell: &LockCell, counts: &[AtomicU64]) -> Option<Told> {
    // Taken away before the counts are read and put back if there were any, so a death that is counted meanwhile is seen or announced.
    cell.dead_counts.swap(0, Relaxed);
    full_fence_after_rmw(Fault::HintFence);
    let (slot, count) = (1..).zip(counts).find_map(|(slot, count)| {
        let count = count.load(Relaxed);
        (dead_in(count) > 0).then_some((slot, count))
    })?;
    cell.dead_counts.store(1, Relaxed);
    let deaths = Deaths { slot, generation: high(count), was_thread: false, rolled_back: false, count: dead_in(count) };
    Some(Told { deaths, counted: Some(slot), is_claim: true })
}

/// Deaths in a count.
pub(super) const fn dead_in(count: u64) -> u32 {
    (low(count) as u64 >> DEAD_SHIFT) as u32
}

/// Strikes out what was told. To be called while what was taken is still held, so that the next one finds it done.
#[cold]
pub(crate) fn acknowledge(cell: &LockCell, told: &Told, counts: &[AtomicU64]) {
    if is_kept(Fault::Acknowledged) {
        match told.counted {
            None if is_kept(Fault::AcknowledgedLate) => strike_out_holders(cell, told.deaths.count),
            None => {}
            Some(slot) => {
                // Others count up and down beside us; the deaths that were told are still in there.
                counts[slot as usize - 1].fetch_sub(u64::from(told.deaths.count) << DEAD_SHIFT, Relaxed);
            }
        }
    }
    if told.is_claim {
        // Pairs with `telling` in `claim_slowly`.
        cell.telling.store(0, orderings::telling_done());
    }
}

fn strike_out_holders(cell: &LockCell, count: u32) {
    let mut seen = cell.death.load(Relaxed);
    loop {
        let left = (high(seen) >> 1).saturating_sub(count);
        // The name stays, so that a reaper which starts over knows that it has recorded it.
        let flag = if left == 0 { 0 } else { high(seen) & 1 };
        match cell.death.compare_exchange(seen, join(low(seen), left << 1 | flag), Relaxed, Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}
