//! Eventcount: sleeping until somebody says that a condition may have come true, at no cost to them while nobody sleeps.
//!
//! ```text
//!   bit  31                         2      1      0
//!       ┌────────────────────────────┬──────┬───────┐
//!       │ epoch                      │ bell │ futex │   written only when somebody sleeps or is woken
//!       └────────────────────────────┴──────┴───────┘
//! ```
//!
//! The sleeper *announces* itself by a flag, looks at its condition once more, and sleeps while the word is what its announcement made it. The
//! waker changes the condition, looks at the flags, and does nothing more if there are none. Each stores one word and then loads the
//! other's, so each needs a full fence in between, or both could miss the other: then the sleeper sleeps on a condition that is
//! true. The waker's fence can be moved to the sleeper, see [`Fence`].
//!
//! Flags and epoch change in one step. With flags in a word of their own, a sleeper that announces itself between the two steps of a waker
//! would lose its flag and sleep on (the model finds it).
//!
//! The same word, without the descriptors' flag, is the *bell* of a participant; see [`bell`](super::bell).
//!
//! There are flags and no count: a sleeper that is killed leaves a flag behind, which costs the next waker one system call and is gone; a count
//! would be wrong for ever.

use crosstie_core::Deadline;

use super::fence::Fence;
use crate::{
    faults::{Fault, is_kept, ordering},
    steps::step,
    sync::{AtomicU32, Ordering::*, fence, futex_wait, futex_wake},
};

/// Somebody sleeps on the word `epoch`.
const FUTEX: u32 = 1;
/// Somebody waits for the descriptor of its process.
const BELL: u32 = 2;

/// Whom a notification reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notified {
    /// Nobody slept, or who slept on the word has been woken.
    Done,
    /// The descriptor of the other process has to be rung.
    Ring,
}

/// The word, alone in its pair of lines.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct EventCount(AtomicU32);

#[cfg(not(loom))]
const _: () = assert!(size_of::<EventCount>() == 128);

// SAFETY: an atomic, and padding that nobody looks at.
#[cfg(not(loom))]
unsafe impl crate::segment::Shared for EventCount {}

/// The algorithm, on whatever word it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch<'m>(pub(super) &'m AtomicU32);

/// What [`EventCount::announce`] made of the word; sleeping ends as soon as it is no longer so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced(u32);

impl EventCount {
    /// Says that the caller is about to sleep on the word. It must look at its condition between this and [`Self::sleep`].
    ///
    /// `theirs` tells the fence that the waker uses; it is asked after our own full fence, see [`Fence`].
    pub(crate) fn announce(&self, theirs: impl FnOnce() -> Fence) -> Announced {
        self.epoch().announce(FUTEX, theirs)
    }

    /// Says that the caller is about to wait for its descriptor. It must look at its condition after this.
    pub(crate) fn arm(&self, theirs: impl FnOnce() -> Fence) {
        self.epoch().announce(BELL, theirs);
    }

    /// Takes the announcement back, if the caller is the only one who may sleep here. A waker may have taken it meanwhile.
    pub(crate) fn withdraw(&self) {
        self.epoch().withdraw();
    }

    /// Takes the armed flag back, if the caller is the only one who may arm here.
    #[cfg(not(loom))]
    pub(crate) fn disarm(&self) {
        self.0.fetch_and(!BELL, Relaxed);
    }

    /// Sleeps unless somebody has notified since `announced`, until `deadline`.
    pub(crate) fn sleep(&self, announced: Announced, deadline: Deadline) {
        // What ended it does not matter: the caller looks at its condition.
        let _ = futex_wait(&self.0, announced.0, deadline);
    }

    /// The word to sleep on and what it held, for waiting on several at once.
    #[cfg(not(loom))]
    pub(crate) const fn word(&self, announced: Announced) -> (&AtomicU32, u32) {
        (&self.0, announced.0)
    }

    /// Wakes whoever sleeps. The condition must have been changed before; `ours` is the fence that orders that.
    #[inline]
    #[must_use = "who waits for its descriptor is to be rung for"]
    pub(crate) fn notify(&self, ours: Fence) -> Notified {
        self.epoch().notify(ours)
    }

    #[inline]
    const fn epoch(&self) -> Epoch<'_> {
        Epoch(&self.0)
    }
}

impl<'m> Epoch<'m> {
    /// Says that the caller is about to sleep on the word.
    pub(super) fn sleeper(self, theirs: impl FnOnce() -> Fence) -> Announced {
        self.announce(FUTEX, theirs)
    }

    fn announce(self, flag: u32, theirs: impl FnOnce() -> Fence) -> Announced {
        let flag = if is_kept(Fault::Flag) { flag } else { 0 };
        // pairs with the Release in wake: the condition that came with this epoch is seen by the look that follows.
        let before = self.0.fetch_or(flag, ordering(Fault::EpochSeen, Acquire));
        step!("wait.announced");
        // pairs with the fence in notify: either we see its condition or it sees our flag.
        if is_kept(Fault::SleeperFence) {
            fence(SeqCst);
            theirs().second_half();
        }
        Announced(before | flag)
    }

    /// True if nobody has notified since `announced`, nor taken it back.
    pub(super) fn is_still(self, announced: Announced) -> bool {
        self.0.load(Relaxed) == announced.0
    }

    pub(super) fn withdraw(self) {
        if self.0.load(Relaxed) & FUTEX != 0 {
            self.0.fetch_and(!FUTEX, Relaxed);
        }
    }

    pub(super) const fn word(self, announced: Announced) -> (&'m AtomicU32, u32) {
        (self.0, announced.0)
    }

    #[inline]
    pub(super) fn notify(self, ours: Fence) -> Notified {
        // pairs with the fence in announce.
        if is_kept(Fault::WakerFence) {
            ours.first_half();
        }
        // Relaxed is enough: nothing is read on the strength of it.
        if self.0.load(Relaxed) & (FUTEX | BELL) == 0 {
            return Notified::Done;
        }
        self.wake()
    }

    #[cold]
    fn wake(self) -> Notified {
        let mut word = self.0.load(Relaxed);
        loop {
            let epoch = if is_kept(Fault::Epoch) {
                (word & !(FUTEX | BELL)).wrapping_add(BELL << 1)
            } else {
                word & !(FUTEX | BELL)
            };
            // pairs with the Acquire in announce: who reads the new epoch sees the condition changed.
            match self.0.compare_exchange(word, epoch, ordering(Fault::Epoch, Release), Relaxed) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        // A waker that is killed here has taken the flags down and woken nobody. Its victim finds out when it looks whether its peer lives.
        step!("wait.flags_down");
        if word & FUTEX != 0 && is_kept(Fault::Wake) {
            futex_wake(self.0, u32::MAX);
        }
        if word & BELL != 0 { Notified::Ring } else { Notified::Done }
    }
}
