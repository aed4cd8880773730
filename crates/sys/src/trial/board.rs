//! Cells that a process shares with the children it will fork.

use std::io;
use std::ptr;
use std::slice;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Zeroed cells that this process and every child forked later share. They are never unmapped, so they outlive every child.
///
/// # Errors
///
/// What `mmap` refuses.
pub fn shared_cells(count: usize) -> io::Result<&'static [AtomicU64]> {
    let length = count.max(1) * size_of::<AtomicU64>();
    // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
    let start =
        unsafe { mmap_anonymous(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)? };
    // SAFETY: the mapping is page-aligned, zeroed, `length` long and never unmapped; zero is a valid `AtomicU64`, and
    // everyone who gets at the memory, in this process or in a child, goes through these atomics.
    Ok(unsafe { slice::from_raw_parts(start.cast::<AtomicU64>(), count) })
}
