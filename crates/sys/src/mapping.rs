//! A file in memory, shared with everyone who maps it, until the value is dropped.

use std::{io, os::fd::AsFd, ptr::NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// What may be done with mapped memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only; a write is a fault.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

/// A stretch of a file, mapped shared and unmapped on drop.
///
/// It gives out an address and a length, never a reference: what others may write at any time cannot be a `&[u8]`. Whoever goes through
/// the address uses atomics.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; nothing here reads or writes through the address.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives out plain numbers only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The first `len` bytes of `file`. Later growth or shrinking of the file does not move it; what lies beyond the end of a file that was
    /// made shorter is a fault when touched.
    ///
    /// # Errors
    ///
    /// The operating system's; `InvalidInput` for a length of zero.
    pub fn shared(file: impl AsFd, len: usize, access: Access) -> io::Result<Self> {
        if len == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a length to map, came 0"));
        }
        let protection = match access {
            Access::ReadOnly => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: without an address of our own (null, and no FIXED) the kernel picks a place where nothing is mapped.
        let start = unsafe { mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, file, 0)? };
        let start = NonNull::new(start.cast()).expect("the kernel maps nothing at address zero");
        Ok(Self { start, len })
    }

    /// Where it begins; valid for [`len`](Self::len) bytes while this value lives.
    pub const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes are mapped.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `shared`, is unmapped once, and borrows of it end with this value (its users' contract).
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "a whole mapping can always be unmapped");
    }
}

/// The machine's page size.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::sealed_memory;

    #[test]
    fn two_mappings_of_one_file_are_the_same_memory() {
        let file = sealed_memory("two", 4096).unwrap();
        let first = Mapping::shared(&file, 4096, Access::ReadWrite).unwrap();
        let second = Mapping::shared(&file, 4096, Access::ReadOnly).unwrap();
        // SAFETY: both are page-aligned, live, and touched by atomics only.
        let (one, two) = unsafe {
            (AtomicU32::from_ptr(first.start().as_ptr().cast()), AtomicU32::from_ptr(second.start().as_ptr().cast()))
        };
        one.store(7, Ordering::Release);
        assert_eq!(two.load(Ordering::Acquire), 7);
    }

    #[test]
    fn a_length_of_zero_is_refused() {
        let file = sealed_memory("none", 4096).unwrap();
        assert_eq!(Mapping::shared(&file, 0, Access::ReadOnly).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
