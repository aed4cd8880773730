//! Waiting for a lock by descriptor or as a task: no thread sleeps on its words, whoever gives it back tells.
//!
//! ```text
//!   who waits:      armed 1 ── full fence ── ask for the word, or the signal ── look once more
//!   who gives back: word free, or counted down ── asked? ── full fence ── armed? ── armed 0 ── ring for all
//! ```
//!
//! Of the two at least one sees the other, as with any sleeper. Asking for a word that somebody has is a look as well: that one gives it back
//! later and finds that it was asked for. A word that is free cannot be asked for, so the try after it counts; if that finds the word taken again,
//! all begins anew.

use super::{
    cell::{WAITERS, ask_for_signal, holder_of},
    faults::{Fault, is_kept},
    orderings::armed_fence,
};
use crate::{layout::LockCell, sync::Ordering::Relaxed};

/// What tells those who armed.
pub(crate) trait Bells {
    /// Tells every process that takes part that the lock may be had.
    fn ring_all(&self);
}

/// What was in the way of one who does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InTheWay {
    /// Somebody has the word.
    Word,
    /// What others have counted: readers, or permits.
    Counts,
}

/// Arms, and runs `attempt` after that. If something is in its way, whoever takes that out of the way rings, or the membership changes.
///
/// `for_counts` says whether counts may be in the way.
pub(crate) fn attempt_armed(
    cell: &LockCell,
    for_counts: bool,
    mut attempt: impl FnMut() -> Result<(), InTheWay>,
) -> Result<(), InTheWay> {
    loop {
        if is_kept(Fault::Armed) {
            cell.armed.store(1, Relaxed);
        }
        // Pairs with the fence in `ring`: who sees that it was asked for sees by whom.
        armed_fence(Fault::ArmedFence);
        if for_counts {
            ask_for_signal(&cell.wake);
        }
        match attempt() {
            Err(InTheWay::Word) if is_kept(Fault::ArmedAsks) => {
                if ask_for_word(cell) {
                    return Err(InTheWay::Word);
                }
            }
            outcome => return outcome,
        }
    }
}

/// Rings for those who armed. To be called after the lock was given back and somebody was seen to have asked for it.
#[cold]
#[inline(never)]
pub(crate) fn ring(cell: &LockCell, bells: &impl Bells) {
    // Pairs with the fence in `attempt_armed`.
    armed_fence(Fault::RingFence);
    if cell.armed.load(Relaxed) == 0 {
        return;
    }
    // Down before anybody is told, so that who arms again puts it up again.
    if is_kept(Fault::ArmedDownFirst) {
        cell.armed.store(0, Relaxed);
    }
    if is_kept(Fault::RingAll) {
        bells.ring_all();
    }
    if !is_kept(Fault::ArmedDownFirst) {
        cell.armed.store(0, Relaxed);
    }
}

/// Has whoever has the word see that somebody waits. False if nobody has it.
pub(super) fn ask_for_word(cell: &LockCell) -> bool {
    let mut word = cell.word.load(Relaxed);
    while word != 0 {
        if holder_of(word).is_none() {
            // A bit that waits for nobody, which only damage makes: it would be in the way for ever.
            let _ = cell.word.compare_exchange(word, 0, Relaxed, Relaxed);
            return false;
        }
        if word & WAITERS != 0 {
            return true;
        }
        match cell.word.compare_exchange(word, word | WAITERS, Relaxed, Relaxed) {
            Ok(_) => return true,
            Err(now) => word = now,
        }
    }
    false
}
