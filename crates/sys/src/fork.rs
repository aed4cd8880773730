//! Descriptors that the child of a fork does not keep.
//!
//! A child shares its parent's open file descriptions, so a lock that the parent held would outlive it. Handlers that run around `fork` close
//! such descriptors in the child before it can do anything else. A process made without the C library's `fork` (a bare `clone`, `vfork`) runs
//! no handler; it closes them when it calls exec, as every program that does this soon does.

use std::{
    cell::UnsafeCell,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{Incarnation, futex};

/// A descriptor that is closed in the child of a fork. In the child the value stays, but it has nothing any more.
#[derive(Debug)]
pub struct ForkClosed {
    descriptor: RawFd,
    owner: Incarnation,
}

impl ForkClosed {
    /// The descriptor that `open` makes. No fork happens between its making and its being known here.
    ///
    /// # Errors
    ///
    /// What `open` says, or the operating system's if there is no memory.
    pub fn open(open: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<Self> {
        static HANDLERS: Once = Once::new();
        HANDLERS.call_once(|| {
            // SAFETY: the three functions are fit to run around a fork: they lock, unlock and close, and allocate nothing.
            let outcome = unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
            assert_eq!(outcome, 0, "there is memory for three addresses");
        });
        let owner = Incarnation::current()?;
        KNOWN.locked(|known| {
            known.reserve(1);
            let descriptor = open()?.into_raw_fd();
            known.push(descriptor);
            Ok(Self { descriptor, owner })
        })
    }

    /// The descriptor; `None` in the child of a fork.
    #[inline]
    pub fn get(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: in the process that opened it, it stays open until this value is dropped.
        self.owner.is_current().then(|| unsafe { BorrowedFd::borrow_raw(self.descriptor) })
    }
}

impl Drop for ForkClosed {
    fn drop(&mut self) {
        if !self.owner.is_current() {
            return;
        }
        KNOWN.locked(|known| {
            if let Some(at) = known.iter().position(|descriptor| *descriptor == self.descriptor) {
                known.swap_remove(at);
                // SAFETY: it was taken from an `OwnedFd`, is in the list once, and is taken out of it here.
                drop(unsafe { OwnedFd::from_raw_fd(self.descriptor) });
            }
        });
    }
}

/// The descriptors to close, and the gate that is shut while a fork is under way.
struct Known {
    gate: AtomicU32,
    descriptors: UnsafeCell<Vec<RawFd>>,
}

static KNOWN: Known = Known { gate: AtomicU32::new(OPEN), descriptors: UnsafeCell::new(Vec::new()) };

const OPEN: u32 = 0;
const TAKEN: u32 = 1;
const AWAITED: u32 = 2;

// SAFETY: the list is touched only by whoever has the gate, or by the one thread of a fresh child.
unsafe impl Sync for Known {}

impl Known {
    fn locked<R>(&self, act: impl FnOnce(&mut Vec<RawFd>) -> R) -> R {
        struct Opened<'a>(&'a Known);
        impl Drop for Opened<'_> {
            fn drop(&mut self) {
                self.0.open_gate();
            }
        }
        self.shut_gate();
        let _opened = Opened(self);
        // SAFETY: the gate is ours until `_opened` is dropped, so this is the only reference.
        act(unsafe { &mut *self.descriptors.get() })
    }

    // A mutex of the standard library would do, if it could be locked in one function and unlocked in another.
    fn shut_gate(&self) {
        // Acquire pairs with the Release in `open_gate`: the list as the last one left it.
        if self.gate.compare_exchange(OPEN, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return;
        }
        while self.gate.swap(AWAITED, Ordering::Acquire) != OPEN {
            futex::wait(&self.gate, AWAITED, None);
        }
    }

    fn open_gate(&self) {
        if self.gate.swap(OPEN, Ordering::Release) == AWAITED {
            futex::wake(&self.gate, 1);
        }
    }
}

extern "C" fn before() {
    KNOWN.shut_gate();
}

extern "C" fn after_in_parent() {
    KNOWN.open_gate();
}

extern "C" fn after_in_child() {
    // SAFETY: the thread that forked has the gate, and it is the only one in the child.
    let known = unsafe { &mut *KNOWN.descriptors.get() };
    for descriptor in known.iter() {
        // SAFETY: the list holds descriptors that this process owns, as a copy of its parent's; the values that own them see that they are
        // in another incarnation and close nothing.
        unsafe { libc::close(*descriptor) };
    }
    // Keeps its room: nothing is allocated or freed between fork and exec.
    known.clear();
    KNOWN.gate.store(OPEN, Ordering::Release);
}

impl AsRawFd for ForkClosed {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What `act` says in a child of fork. It must not allocate: other threads may have held the allocator's lock.
    pub(crate) fn in_child(act: impl FnOnce() -> u8) -> u8 {
        // SAFETY: the child runs `act` alone and leaves without running anything of the test's.
        match unsafe { libc::fork() } {
            0 => {
                let told = act();
                // SAFETY: ends the process and nothing else.
                unsafe { libc::_exit(i32::from(told)) }
            }
            child => {
                assert!(child > 0, "fork: {}", io::Error::last_os_error());
                let mut status = 0;
                // SAFETY: the status is ours; the child is.
                let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
                assert_eq!(waited, child);
                assert!(libc::WIFEXITED(status), "the child ended with {status:#x}");
                u8::try_from(libc::WEXITSTATUS(status)).unwrap()
            }
        }
    }

    #[test]
    fn a_child_has_nothing_of_it_and_the_parent_keeps_it() {
        let file = crate::sealed_memory("closed", 4096).unwrap();
        let kept = file.try_clone().unwrap();
        let number = kept.as_raw_fd();
        let closed = ForkClosed::open(|| Ok(kept)).unwrap();
        let told = in_child(|| {
            // SAFETY: asks about a number.
            let is_open = unsafe { libc::fcntl(number, libc::F_GETFD) } != -1;
            // SAFETY: as above; the control: a plain descriptor is inherited.
            let plain_is_open = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) } != -1;
            u8::from(!is_open) + 2 * u8::from(plain_is_open) + 4 * u8::from(closed.get().is_none())
        });
        assert_eq!(told, 7);
        assert!(closed.get().is_some());
        drop(closed);
        // SAFETY: asks about a number.
        assert_eq!(unsafe { libc::fcntl(number, libc::F_GETFD) }, -1);
    }
}
