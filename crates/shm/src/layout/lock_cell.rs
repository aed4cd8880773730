//! The cell of a lock: a line for those who take it, and lines for people.

use crate::sync::{AtomicU32, AtomicU64};

/// Words for later versions. They are never looked at, and a model that made a cell of them would be slower.
#[cfg(not(loom))]
type Unused = AtomicU64;
#[cfg(loom)]
type Unused = u64;
#[cfg(not(loom))]
type UnusedHalf = AtomicU32;
#[cfg(loom)]
type UnusedHalf = u32;

/// One row of the lock table, 256 bytes.
#[repr(C)]
#[derive(Debug, Default)]
pub struct LockCell {
    /// Bit 0: somebody waits; bits 1 to 10: slot of the holder, 0 if free; bits 11 to 31: its slot generation, truncated.
    pub word: AtomicU32,
    /// A futex for those who wait for something else than the word.
    pub wake: AtomicU32,
    /// Committed writes; the lowest bit says which of the two copies is current.
    pub version: AtomicU64,
    /// The version that the holder has begun to write; greater than `version` exactly while a write is open.
    pub writing: AtomicU64,
    /// Acquisitions so far: the fencing token.
    pub token: AtomicU64,
    /// The highest fencing token of another lock or lease that wrote here.
    pub foreign_token: AtomicU64,
    /// Low half: the word of the last holder that died, bit 0 set if only a thread of it ended. High half: bit 0: its open write was undone; the
    /// rest: deaths of holders that nobody has been told of yet.
    pub death: AtomicU64,
    /// Who is being told of deaths, as a word names it; 0 nobody. For locks that several may hold at a time.
    pub telling: AtomicU32,
    /// Not 0 if there may be deaths in the counts.
    pub dead_counts: AtomicU32,
    /// The thread that holds it, a number of the holder's own; 0 if free.
    pub thread: AtomicU64,
    // Processors fetch lines in pairs; what people read is in the next pair.
    alone: [Unused; 8],
    /// Since when it is held, on the calendar, in nanoseconds.
    pub since: AtomicU64,
    /// Not 0 if somebody waits for it by descriptor; then whoever gives it back rings for everyone.
    pub armed: AtomicU32,
    unused: UnusedHalf,
    /// Acquisitions that had to wait.
    pub waits: AtomicU64,
    /// Recoveries after the death of a holder.
    pub recoveries: AtomicU64,
    /// 1 mutex, 2 rwlock, 3 semaphore; 0 if the cell is not used.
    pub kind: AtomicU32,
    /// Permits in all, of a semaphore.
    pub permits: AtomicU32,
    /// Where the counts per participant are (readers, or permits held), `u64` each, in the data section; 0 if it has none.
    pub counts: AtomicU64,
    /// The name of the lock.
    pub name: [AtomicU64; 6],
    /// Where the journal is in the data section, if there is one, in front of the data.
    pub journal: AtomicU64,
    /// The fencing token of the acquisition that `since` is about.
    pub since_token: AtomicU64,
    /// Where the protected data is in the data section: the first of two copies, or the only one.
    pub data: AtomicU64,
    /// Bytes of it, of one copy.
    pub data_len: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<LockCell>() == 256);
    assert!(offset_of!(LockCell, version) == 8);
    assert!(offset_of!(LockCell, death) == 40);
    assert!(offset_of!(LockCell, dead_counts) == 52);
    assert!(offset_of!(LockCell, thread) == 56);
    assert!(offset_of!(LockCell, since) == 128);
    assert!(offset_of!(LockCell, armed) == 136);
    assert!(offset_of!(LockCell, recoveries) == 152);
    assert!(offset_of!(LockCell, kind) == 160);
    assert!(offset_of!(LockCell, counts) == 168);
    assert!(offset_of!(LockCell, name) == 176);
    assert!(offset_of!(LockCell, journal) == 224);
};
