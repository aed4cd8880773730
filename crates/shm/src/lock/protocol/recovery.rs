//! What is done for a participant that died: its locks are freed, what it had begun is undone, its death is noted.
//!
//! One reaper at a time does this for a dead participant; it may die as well, at any instant, and the next one starts from the beginning. So every
//! step may be done again with the same result: a death is counted under the name of who died, a count is taken back and noted as
//! a death in one exchange, and the word is freed last.

use super::{
    cell::{Holder, high, holder_of, join, low, raise_signal},
    copies::Copies,
    faults::{Fault, is_kept},
    journal::Journal,
    mutex::free_for_all,
    orderings::{self, full_fence_after_rmw},
    telling::{COUNT, DEAD_MAX, DEAD_SHIFT, dead_in},
};
use crate::{
    layout::LockCell,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// What must be undone with a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Undo<'a> {
    /// Nothing: the lock protects no data that it knows of.
    Nothing,
    /// A write to a copy.
    Copies(Copies<'a>),
    /// A transaction.
    Journal(Journal<'a>),
}

impl Undo<'_> {
    fn is_open(self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Copies(copies) => copies.is_open(),
            Self::Journal(journal) => journal.is_open(),
        }
    }

    fn undo(self) {
        match self {
            Self::Nothing => {}
            Self::Copies(copies) => copies.forget(),
            Self::Journal(journal) => journal.undo(),
        }
    }
}

/// Frees the lock if `dead` holds it. Who waits by descriptor is told by the membership, which changes after this. `is_told` is false for a lock whose holders have nothing to lose.
pub(crate) fn recover(cell: &LockCell, dead: Holder, undo: Undo<'_>, is_told: bool) {
    // A claim of one who is dead.
    if is_kept(Fault::ClaimDropped) {
        let _ = cell.telling.compare_exchange(dead.word(), 0, orderings::telling_done(), Relaxed);
    }
    recover_word(cell, dead, false, undo, is_told);
}

/// Frees the lock if `me` holds it, of which only a thread has ended. For `me` alone, who then [rings](super::ring): no membership changes.
pub(crate) fn recover_ended_thread(cell: &LockCell, me: Holder, undo: Undo<'_>) {
    recover_word(cell, me, true, undo, true);
}

fn recover_word(cell: &LockCell, dead: Holder, was_thread: bool, undo: Undo<'_>, is_told: bool) {
    // The kernel has told of the death, which orders everything that the dead one did before what we do.
    if holder_of(cell.word.load(Relaxed)) != Some(dead) {
        return;
    }
    if is_told && is_kept(Fault::DeathRecorded) {
        record_death(cell, dead, was_thread, || undo.is_open());
    }
    if is_kept(Fault::UndoBeforeRelease) {
        if is_kept(Fault::Undo) {
            undo.undo();
        }
        free_for_all(cell, Fault::WakeOnRecovery);
    } else {
        free_for_all(cell, Fault::WakeOnRecovery);
        undo.undo();
    }
}

/// Counts the death of `dead` once, however often it is called for the same hold.
///
/// `undone` is asked only the first time: afterwards the traces may be gone. Only the reaper of `dead` calls this, while the word still
/// names it, so no other death of a holder comes in between.
fn record_death(cell: &LockCell, dead: Holder, was_thread: bool, undone: impl FnOnce() -> bool) {
    let name = dead.word() | u32::from(was_thread);
    let mut seen = cell.death.load(Relaxed);
    if low(seen) == name && !was_thread && is_kept(Fault::DeathOnce) {
        return;
    }
    let undone = u32::from(undone());
    cell.recoveries.fetch_add(1, Relaxed);
    loop {
        let told = high(seen);
        // Flags of deaths not told yet add up; a told one leaves nothing.
        let rolled_back = undone | if told >> 1 == 0 { 0 } else { told & 1 };
        let untold = (told >> 1).saturating_add(1).min(u32::MAX >> 1);
        // Relaxed: what it says is all in this word, and whoever takes the lock sees it through the word that we free.
        match cell.death.compare_exchange(seen, join(name, untold << 1 | rolled_back), Relaxed, Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// Takes back what the dead participant had counted, readers or permits, and notes its death. `generation` is the dead one's.
pub(crate) fn recover_count(cell: &LockCell, count: &AtomicU64, generation: u32) {
    let mut seen = count.load(Relaxed);
    while seen & COUNT != 0 && is_kept(Fault::CountRecovered) {
        let dead = u64::from(dead_in(seen) + 1).min(DEAD_MAX) << DEAD_SHIFT;
        // Pairs with `count_seen`: what comes next comes after what the dead one did.
        match count.compare_exchange(seen, dead | u64::from(generation) << 32, orderings::count_down(), Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    // A reaper before us may have come to the exchange and no further, so the rest is done in any case.
    if dead_in(count.load(Relaxed)) > 0 {
        cell.dead_counts.swap(1, Relaxed);
    }
    // Pairs with the fences in `ask_for_signal` and `claim`.
    full_fence_after_rmw(Fault::LeaveFence);
    raise_signal(&cell.wake);
}
