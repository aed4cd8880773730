//! The cell of a lock: a line that contenders touch, a line that only the holder writes, and lines for people.

use crate::sync::{AtomicU32, AtomicU64};

/// One row of the lock table, 256 bytes.
#[repr(C)]
#[derive(Debug)]
pub struct LockCell {
    /// Bit 0: somebody waits; bits 1 to 10: slot of the holder, 0 if free; bits 11 to 31: its slot generation, truncated.
    pub word: AtomicU32,
    /// A futex for those who wait for something else than the word.
    pub wake: AtomicU32,
    contended: [AtomicU64; 7],
    /// Committed writes; the lowest bit says which of the two copies is current.
    pub version: AtomicU64,
    /// The version that the holder has begun to write; greater than `version` exactly while a write is open.
    pub writing: AtomicU64,
    /// Acquisitions so far: the fencing token.
    pub token: AtomicU64,
    /// The highest fencing token of another lock or lease that wrote here.
    pub foreign_token: AtomicU64,
    /// Deaths of holders that nobody has been told of yet.
    pub untold_deaths: AtomicU32,
    /// The slot of the last holder that died.
    pub dead_slot: AtomicU32,
    /// Its slot generation.
    pub dead_generation: AtomicU32,
    /// Bit 0: the last recovery undid an open write.
    pub undone: AtomicU32,
    held: [AtomicU64; 2],
    /// Since when it is held, on the calendar, in nanoseconds.
    pub since: AtomicU64,
    /// The thread that holds it, a number of the holder's own.
    pub thread: AtomicU64,
    /// Acquisitions that had to wait.
    pub waited: AtomicU64,
    /// Recoveries after the death of a holder.
    pub recoveries: AtomicU64,
    /// 1 mutex, 2 rwlock, 3 semaphore; 0 if the cell is not used.
    pub kind: AtomicU32,
    /// Permits in all, of a semaphore.
    pub permits: AtomicU32,
    /// Where the counts per participant are (readers, or permits held), `u32` each, in the data section.
    pub counts: AtomicU64,
    /// The name of the lock.
    pub name: [AtomicU64; 6],
    reserved: [AtomicU64; 4],
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<LockCell>() == 256);
    assert!(offset_of!(LockCell, version) == 64);
    assert!(offset_of!(LockCell, untold_deaths) == 96);
    assert!(offset_of!(LockCell, undone) == 108);
    assert!(offset_of!(LockCell, since) == 128);
    assert!(offset_of!(LockCell, recoveries) == 152);
    assert!(offset_of!(LockCell, kind) == 160);
    assert!(offset_of!(LockCell, counts) == 168);
    assert!(offset_of!(LockCell, name) == 176);
    assert!(offset_of!(LockCell, reserved) == 224);
};

#[cfg(loom)]
impl Default for LockCell {
    fn default() -> Self {
        let (word, long) = (|| AtomicU32::new(0), || AtomicU64::new(0));
        Self {
            word: word(),
            wake: word(),
            contended: std::array::from_fn(|_| long()),
            version: long(),
            writing: long(),
            token: long(),
            foreign_token: long(),
            untold_deaths: word(),
            dead_slot: word(),
            dead_generation: word(),
            undone: word(),
            held: std::array::from_fn(|_| long()),
            since: long(),
            thread: long(),
            waited: long(),
            recoveries: long(),
            kind: word(),
            permits: word(),
            counts: long(),
            name: std::array::from_fn(|_| long()),
            reserved: std::array::from_fn(|_| long()),
        }
    }
}
