//! A lock with one holder.
//!
//! ```text
//!   take:     word 0 ──► me                       sleep on the word while somebody else is in it
//!   release:  word me ──► 0, wake one if bit 0 was set
//! ```
//!
//! Who has slept takes the word with the waiters' bit set, since it cannot know whether others still sleep; the price is one wake for
//! nobody at the end of each queue.

use super::{
    armed::{Bells, ring},
    cell::{Holder, WAITERS, holder_of},
    faults::{Fault, is_kept},
    orderings,
    waiting::{Peers, TimedOut, Wait},
};
use crate::{
    layout::LockCell,
    sync::{Ordering::Relaxed, futex_wake, spin_loop},
};

/// Takes the lock if it is free; otherwise the word that says who has it.
#[inline]
pub(crate) fn try_take(cell: &LockCell, me: Holder) -> Result<(), u32> {
    // Pairs with `orderings::release` in `release` and in `recover`.
    cell.word.compare_exchange(0, me.word(), orderings::take(), Relaxed).map(|_| ())
}

/// Takes the lock, waiting for it as long as `wait` allows.
///
/// A thread that holds it already would wait for itself: the caller has made sure that it does not.
///
/// # Errors
///
/// [`TimedOut`]: the lock was not taken.
#[cold]
pub(crate) fn take<P: Peers>(cell: &LockCell, me: Holder, wait: &mut Wait<'_, P>) -> Result<(), TimedOut> {
    // Looking at the word takes its line away from the holder. So the first look comes late, and the holder may take the lock many times
    // meanwhile, at full speed; the looks after it come close together, to catch the lock between two of its holds.
    let mut pause = FIRST_PAUSE;
    for _ in 0..wait.peers.spins() {
        (0..pause).for_each(|_| spin_loop());
        let word = cell.word.load(Relaxed);
        if word == 0 && try_take(cell, me).is_ok() {
            return Ok(());
        }
        if word & WAITERS != 0 {
            break;
        }
        pause = PAUSE;
    }
    loop {
        let word = cell.word.load(Relaxed);
        let Some(holder) = holder_of(word) else {
            let others = u32::from(wait.has_slept() && is_kept(Fault::WaitersBitKept)) * WAITERS;
            // Pairs with `orderings::release`, as in `try_take`.
            if cell.word.compare_exchange(word, me.word() | word | others, orderings::take(), Relaxed).is_ok() {
                return Ok(());
            }
            continue;
        };
        let awaited = word | WAITERS;
        if is_kept(Fault::WaitersBit) {
            if word != awaited && cell.word.compare_exchange(word, awaited, Relaxed, Relaxed).is_err() {
                continue;
            }
            wait.sleep(&cell.word, awaited, |peers| peers.reap(holder.slot()))?;
        } else {
            wait.sleep(&cell.word, word, |peers| peers.reap(holder.slot()))?;
        }
    }
}

/// What the holder does first: counts the acquisition. The number is the fencing token.
#[inline]
pub(crate) fn enter(cell: &LockCell, thread: u64) -> u64 {
    // The holder is the only writer.
    let token = cell.token.load(Relaxed).wrapping_add(1);
    cell.token.store(token, Relaxed);
    cell.thread.store(thread, Relaxed);
    token
}

/// What the holder does last.
#[inline]
pub(crate) fn leave(cell: &LockCell) {
    cell.thread.store(0, Relaxed);
}

/// Gives the lock back, wakes one waiter and rings for those who wait by descriptor.
#[inline]
pub(crate) fn release(cell: &LockCell, bells: &impl Bells) {
    // Pairs with `orderings::take`.
    if cell.word.swap(0, orderings::release()) & WAITERS != 0 {
        if is_kept(Fault::WakeOnRelease) {
            futex_wake(&cell.word, 1);
        }
        ring(cell, bells);
    }
}

/// Gives the lock back, wakes all waiters, of whom several may go on together, and rings for those who wait by descriptor.
pub(super) fn release_to_all(cell: &LockCell, bells: &impl Bells) {
    if free_for_all(cell, Fault::WakeAllOnRelease) {
        ring(cell, bells);
    }
}

/// Frees the word and wakes all who sleep on it. True if somebody had asked for it.
pub(super) fn free_for_all(cell: &LockCell, fault: Fault) -> bool {
    // Pairs with `orderings::take`.
    let is_awaited = cell.word.swap(0, orderings::release()) & WAITERS != 0;
    if is_awaited && is_kept(fault) {
        futex_wake(&cell.word, u32::MAX);
    }
    is_awaited
}

/// Pauses of the processor before the first look.
const FIRST_PAUSE: u32 = 24;
/// Pauses between two looks.
const PAUSE: u32 = 4;
