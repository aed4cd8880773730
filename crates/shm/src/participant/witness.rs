//! The lock on a slot's byte, which is the truth about who lives.
//!
//! Each participation has an open file description of its own. One that was inherited or received would be shared with another process, and
//! a lock belongs to the description: it would outlive one of the two.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Mutex,
};

use crosstie_sys::{ForkClosed, range_lock};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::{
    error::{Error, Result},
    segment::Segment,
};

/// The byte of slot 0; far beyond the end of every segment.
const FIRST: u64 = 1 << 40;

/// A description of a segment's file that only this process has.
#[derive(Debug)]
pub(super) struct Witness {
    file: ForkClosed,
    /// One description never conflicts with itself, so of the threads of this process one at a time may take other slots' bytes.
    one_at_a_time: Mutex<()>,
}

impl Witness {
    pub(super) fn of(segment: &Segment) -> Result<Self> {
        let path = format!("/proc/self/fd/{}", segment.as_fd().as_raw_fd());
        let open = || -> io::Result<OwnedFd> { Ok(openat(CWD, path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?) };
        let file = ForkClosed::open(open)
            .map_err(Error::system(format!("opening segment `{}` a second time", segment.label())))?;
        Ok(Self { file, one_at_a_time: Mutex::new(()) })
    }

    /// False in a child of fork.
    #[inline(always)]
    pub(super) fn is_ours(&self) -> bool {
        self.file.get().is_some()
    }

    /// Takes the byte of `slot`; false if somebody else has it.
    pub(super) fn take(&self, segment: &Segment, slot: u32) -> Result<bool> {
        range_lock::try_lock(self.get(segment)?, FIRST + u64::from(slot)).map_err(doing(segment, "locking a slot"))
    }

    /// Gives it back.
    pub(super) fn give_back(&self, segment: &Segment, slot: u32) -> Result<()> {
        range_lock::unlock(self.get(segment)?, FIRST + u64::from(slot)).map_err(doing(segment, "unlocking a slot"))
    }

    /// Whether another description has it.
    pub(super) fn is_taken(&self, segment: &Segment, slot: u32) -> Result<bool> {
        let asked = range_lock::is_locked_elsewhere(self.get(segment)?, FIRST + u64::from(slot));
        asked.map_err(doing(segment, "asking for the lock of a slot"))
    }

    /// Runs `act` while it has the byte of `slot`, and no other thread of this process another; `None` if somebody else has it.
    pub(super) fn with<R>(&self, segment: &Segment, slot: u32, act: impl FnOnce() -> Result<R>) -> Result<Option<R>> {
        let _alone = self.one_at_a_time.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !self.take(segment, slot)? {
            return Ok(None);
        }
        let outcome = act();
        self.give_back(segment, slot)?;
        outcome.map(Some)
    }

    fn get(&self, segment: &Segment) -> Result<std::os::fd::BorrowedFd<'_>> {
        self.file.get().ok_or_else(|| Error::Forked { segment: segment.label().to_owned() })
    }
}

fn doing(segment: &Segment, what: &str) -> impl FnOnce(io::Error) -> Error {
    Error::system(format!("{what} of segment `{}`", segment.label()))
}
