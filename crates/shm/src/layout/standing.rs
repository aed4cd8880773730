//! The end of the header's page: the only part of it that changes after the segment was published.

use crate::sync::{AtomicU32, AtomicU64};

/// What a segment says about itself as a whole, 128 bytes at offset 3968.
#[repr(C)]
#[derive(Debug)]
pub struct Standing {
    /// 1 ready, 2 retired, 3 poisoned; 0 while it is being built.
    pub state: AtomicU32,
    /// The generation that replaced this one, if retired; 0 if none did, because the segment was removed.
    pub replaced_by: AtomicU32,
    /// Grows whenever a participant joins, leaves or is reaped. A futex for those who wait for somebody's death.
    pub membership: AtomicU32,
    unused: AtomicU32,
    reserved: [AtomicU64; 14],
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Standing>() == 128);
    assert!(offset_of!(Standing, membership) == 8);
};
