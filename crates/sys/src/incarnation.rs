//! Telling a process from the child that `fork` made of it, for the price of a load.
//!
//! A page that the kernel wipes in the child of a fork holds a number; the child finds zero there, whoever forked it and however, even
//! where no handler runs.

use std::{
    io,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// Where the page is; made once and never unmapped.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
/// The last number given. It is copied by fork, so a child counts on from its parent and never gives a number that it inherited.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The process, as long as it is the one that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation(u64);

impl Incarnation {
    /// The process that runs now.
    ///
    /// # Errors
    ///
    /// The operating system's, if there is no memory for a page.
    pub fn current() -> io::Result<Self> {
        let page = page()?;
        let found = page.load(Ordering::Relaxed);
        if found != 0 {
            return Ok(Self(found));
        }
        let fresh = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        // Relaxed is enough: the number is all that is passed on. Another thread of this process may have been faster.
        match page.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(Self(fresh)),
            Err(theirs) => Ok(Self(theirs)),
        }
    }

    /// True in the process that asked, false in every child that was forked from it since.
    #[inline]
    pub fn is_current(self) -> bool {
        let page = PAGE.load(Ordering::Acquire);
        // SAFETY: a value of this type exists only after `page` stored the address, and the page is never unmapped.
        unsafe { &*page }.load(Ordering::Relaxed) == self.0
    }
}

fn page() -> io::Result<&'static AtomicU64> {
    let known = PAGE.load(Ordering::Acquire);
    if let Some(known) = NonNull::new(known) {
        // SAFETY: the address was stored below, when the page was mapped for good; it is aligned and zeroed, thus a valid word.
        return Ok(unsafe { known.as_ref() });
    }
    let len = crate::page_size();
    // SAFETY: without an address of our own the kernel picks a place where nothing is mapped.
    let start = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }?;
    // SAFETY: the range is the one just mapped, and nobody else knows it yet.
    let wiped = unsafe { madvise(start, len, Advice::LinuxWipeOnFork) };
    let fresh: *mut AtomicU64 = start.cast();
    // Pairs with the Acquire loads above: whoever sees the address sees a mapped page.
    let stored = match wiped {
        Ok(()) => PAGE.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire),
        Err(_) => Err(ptr::null_mut()),
    };
    match stored {
        // SAFETY: as above.
        Ok(_) => Ok(unsafe { &*fresh }),
        Err(faster) => {
            // SAFETY: the range was mapped above and nobody else ever saw it.
            let _ = unsafe { munmap(start, len) };
            wiped?;
            // SAFETY: another thread stored the address of its page, which stays mapped.
            Ok(unsafe { &*faster })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_of_fork_is_not_the_process_that_asked() {
        let parent = Incarnation::current().unwrap();
        assert!(parent.is_current());
        let told_by_child = crate::fork::tests::in_child(|| {
            let foreign = !parent.is_current();
            let own = Incarnation::current().is_ok_and(|own| own != parent && own.is_current());
            u8::from(foreign) + u8::from(own)
        });
        assert_eq!(told_by_child, 2);
        assert!(parent.is_current());
        assert_eq!(Incarnation::current().unwrap(), parent);
    }
}
