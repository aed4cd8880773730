//! A lock with many readers or one writer.
//!
//! Each participant counts its own readers, so that those of a dead one are known and can be withdrawn. The word belongs to the writer: it
//! takes the word first, which keeps new readers out, and then waits for those who are in to leave.
//!
//! ```text
//!   reader:  count mine up ── full fence ── word free?  yes: in      no: count down, raise the signal, sleep on the word
//!   writer:  take the word ── full fence ── counts 0?   yes: in      no: sleep on the signal
//! ```
//!
//! Of a reader and a writer that come together at least one sees the other, because each writes before its fence and reads after it.

use super::{
    armed::{Bells, InTheWay, ring},
    cell::{Holder, WAITERS, ask_for_signal, holder_of, raise_signal},
    faults::{Fault, is_kept},
    mutex::{release_to_all, take, try_take},
    orderings::{self, full_fence_after_rmw},
    telling::COUNT,
    waiting::{Peers, TimedOut, Wait},
};
use crate::{
    layout::LockCell,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// Enters as a reader if no writer is there; otherwise the word that names it. `mine` is the count of this participant.
#[inline]
pub(crate) fn try_read(cell: &LockCell, mine: &AtomicU64, bells: &impl Bells) -> Result<(), u32> {
    let word = cell.word.load(Relaxed);
    if holder_of(word).is_some() {
        return Err(word);
    }
    mine.fetch_add(1, Relaxed);
    // Pairs with the fence in `write`.
    full_fence_after_rmw(Fault::ReaderFence);
    // Pairs with `orderings::release` of the last writer.
    let word = cell.word.load(orderings::writer_seen());
    if holder_of(word).is_none() || !is_kept(Fault::ReaderSecondLook) {
        return Ok(());
    }
    read_done(cell, mine, bells);
    Err(word)
}

/// Enters as a reader, waiting for a writer to leave. `mine` is the count of this participant.
///
/// # Errors
///
/// [`TimedOut`]: this is no reader.
pub(crate) fn read<P: Peers>(cell: &LockCell, mine: &AtomicU64, wait: &mut Wait<'_, P>) -> Result<(), TimedOut> {
    while let Err(word) = try_read(cell, mine, wait.peers) {
        let awaited = word | WAITERS;
        if word != awaited && cell.word.compare_exchange(word, awaited, Relaxed, Relaxed).is_err() {
            continue;
        }
        let writer = holder_of(word);
        wait.sleep(&cell.word, awaited, |peers| writer.is_some_and(|writer| peers.reap(writer.slot())))?;
    }
    Ok(())
}

/// Leaves as a reader.
#[inline]
pub(crate) fn read_done(cell: &LockCell, mine: &AtomicU64, bells: &impl Bells) {
    // Pairs with `count_seen`: the writer comes after what was read.
    mine.fetch_sub(1, orderings::count_down());
    // Pairs with the fence before the writer looks at the counts for the last time.
    full_fence_after_rmw(Fault::LeaveFence);
    if raise_signal(&cell.wake) {
        ring(cell, bells);
    }
}

/// Enters as the writer if nobody is there.
///
/// # Errors
///
/// What is in the way.
pub(crate) fn try_write(cell: &LockCell, me: Holder, counts: &[AtomicU64], bells: &impl Bells) -> Result<(), InTheWay> {
    try_take(cell, me).map_err(|_| InTheWay::Word)?;
    // Pairs with the fence in `try_read`.
    full_fence_after_rmw(Fault::WriterFence);
    if has_readers(counts) {
        release_to_all(cell, bells);
        return Err(InTheWay::Counts);
    }
    Ok(())
}

/// Enters as the writer, waiting for another writer and for readers to leave. `counts` are those of all participants, by slot less one.
///
/// # Errors
///
/// [`TimedOut`]: this is no writer, and those who waited for it go on.
pub(crate) fn write<P: Peers>(
    cell: &LockCell,
    me: Holder,
    counts: &[AtomicU64],
    wait: &mut Wait<'_, P>,
) -> Result<(), TimedOut> {
    if try_take(cell, me).is_err() {
        take(cell, me, wait)?;
    }
    // Pairs with the fence in `try_read`: whoever counted itself before and did not see us, we see.
    full_fence_after_rmw(Fault::WriterFence);
    while has_readers(counts) {
        let signal = ask_for_signal(&cell.wake);
        if is_kept(Fault::SecondLook) && !has_readers(counts) {
            break;
        }
        // One may have left and died before it raised the signal, when nobody watched it yet: so the counts are looked at once more as well.
        let look = |peers: &P| reap_counted(counts, me, peers) || !has_readers(counts);
        let slept = wait.sleep(&cell.wake, signal, look);
        if let Err(timed_out) = slept {
            release_to_all(cell, wait.peers);
            return Err(timed_out);
        }
    }
    Ok(())
}

/// Leaves as the writer. All wake: readers go on together.
pub(crate) fn write_done(cell: &LockCell, bells: &impl Bells) {
    release_to_all(cell, bells);
}

fn has_readers(counts: &[AtomicU64]) -> bool {
    // Pairs with `count_down`.
    counts.iter().any(|count| count.load(orderings::count_seen()) & COUNT != 0)
}

/// Recovers the dead among those who have something counted. True if there were any.
pub(super) fn reap_counted<P: Peers>(counts: &[AtomicU64], me: Holder, peers: &P) -> bool {
    let mut reaped = false;
    for (slot, count) in (1..).zip(counts) {
        if slot != me.slot() && count.load(Relaxed) & COUNT != 0 {
            reaped |= peers.reap(slot);
        }
    }
    reaped
}
