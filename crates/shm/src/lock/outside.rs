//! The value behind a lock as it is seen from outside: without the lock, without a place in the segment.

use super::{
    plan::{Data, LockKind, Parts},
    protocol::{Copies, holder_of},
};
use crate::{
    error::Result,
    layout::LockCell,
    segment::{Pinned, Segment},
    sync::{self, AtomicU64, Ordering::*},
    value_seen::ValueSeen,
};

/// The value of the first lock in `segment`.
pub(crate) fn value_behind_lock(segment: &Segment) -> Result<ValueSeen> {
    if segment.header().locks == 0 {
        return Ok(ValueSeen::Nothing);
    }
    let parts = Parts::of(segment, 0)?;
    Ok(match &parts.data {
        _ if parts.kind == LockKind::Unused => ValueSeen::Nothing,
        Data::None => ValueSeen::Nothing,
        Data::Copies([one, two]) => {
            let (copies, mut words) = (Copies::new(&parts.cell, [one, two]), vec![0; one.len()]);
            ValueSeen::looked_for(|| copies.snapshot(&mut words).map(|version| ValueSeen::whole(&words, version)))
        }
        Data::Journalled { data, .. } => ValueSeen::looked_for(|| unlocked(&parts.cell, data)),
    })
}

/// What is changed in place, if nobody had the lock while it was copied.
fn unlocked(cell: &LockCell, data: &Pinned<[AtomicU64]>) -> Option<ValueSeen> {
    // pairs with the Release with which the lock is given back: what the last holder wrote.
    let is_free = holder_of(cell.word.load(Acquire)).is_none();
    let token = cell.token.load(Relaxed);
    let words: Vec<_> = data.iter().map(|word| word.load(Relaxed)).collect();
    // pairs with the fence between an entry of the journal and what it covers: who has read a word of a later holder sees that there was one.
    sync::fence(Acquire);
    let is_whole = is_free && holder_of(cell.word.load(Relaxed)).is_none() && cell.token.load(Relaxed) == token;
    is_whole.then(|| ValueSeen::whole(&words, token))
}
