//! A lock that so many may hold at a time.
//!
//! Each participant counts the permits that it holds; free is what all of them together leave. The word is a mutex around taking, so that two
//! cannot take the last one; giving back needs none. Nobody is told of a death within that mutex: there was nothing yet to lose.

use super::{
    armed::{Bells, InTheWay, ring},
    cell::{Holder, ask_for_signal, raise_signal},
    faults::{Fault, is_kept},
    mutex::{release, take, try_take},
    orderings::{self, full_fence_after_rmw},
    readers::reap_counted,
    telling::COUNT,
    waiting::{Peers, TimedOut, Wait},
};
use crate::{
    layout::LockCell,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// Takes `permits` if so many are free.
///
/// # Errors
///
/// What is in the way. The word is if somebody is just taking some, which is soon over, unless it died.
pub(crate) fn try_acquire(
    cell: &LockCell,
    me: Holder,
    counts: &[AtomicU64],
    permits: u32,
    bells: &impl Bells,
) -> Result<(), InTheWay> {
    try_take(cell, me).map_err(|_| InTheWay::Word)?;
    let taken = take_permits(cell, me, counts, permits);
    release(cell, bells);
    if taken { Ok(()) } else { Err(InTheWay::Counts) }
}

/// Takes `permits`, waiting until so many are free. Who needs many may be overtaken by those who need few.
///
/// # Errors
///
/// [`TimedOut`]: none was taken.
pub(crate) fn acquire<P: Peers>(
    cell: &LockCell,
    me: Holder,
    counts: &[AtomicU64],
    permits: u32,
    wait: &mut Wait<'_, P>,
) -> Result<(), TimedOut> {
    loop {
        if try_take(cell, me).is_err() {
            take(cell, me, wait)?;
        }
        let taken = take_permits(cell, me, counts, permits);
        release(cell, wait.peers);
        if taken {
            return Ok(());
        }
        // Who always waits for a moment only would never look whose permits are out.
        if wait.peers.is_time_to_look() && reap_counted(counts, me, wait.peers) {
            continue;
        }
        let signal = ask_for_signal(&cell.wake);
        if is_kept(Fault::SecondLook) && free(cell, counts) >= u64::from(permits) {
            continue;
        }
        // One may have given back and died before it raised the signal, when nobody watched it yet: so the counts are looked at once more as well.
        wait.sleep(&cell.wake, signal, |peers| {
            reap_counted(counts, me, peers) || free(cell, counts) >= u64::from(permits)
        })?;
    }
}

/// Gives `permits` back, wakes those who wait for some and rings for those who do by descriptor.
pub(crate) fn give_back(cell: &LockCell, mine: &AtomicU64, permits: u32, bells: &impl Bells) {
    // Pairs with `count_seen`: who takes them comes after what was done with them.
    mine.fetch_sub(u64::from(permits), orderings::count_down());
    // Pairs with the fence in `ask_for_signal`.
    full_fence_after_rmw(Fault::LeaveFence);
    if raise_signal(&cell.wake) {
        ring(cell, bells);
    }
}

/// Under the word.
fn take_permits(cell: &LockCell, me: Holder, counts: &[AtomicU64], permits: u32) -> bool {
    if free(cell, counts) < u64::from(permits) {
        return false;
    }
    counts[me.slot() as usize - 1].fetch_add(u64::from(permits), Relaxed);
    true
}

/// Permits that nobody holds.
pub(crate) fn free(cell: &LockCell, counts: &[AtomicU64]) -> u64 {
    // Pairs with `count_down`.
    let held: u64 = counts.iter().map(|count| count.load(orderings::count_seen()) & COUNT).sum();
    u64::from(cell.permits.load(Relaxed)).min(COUNT).saturating_sub(held)
}
