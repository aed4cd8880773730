//! The fence between changing a condition and looking whether somebody waits for it, on the side that does this all the time.
//!
//! A full fence waits until every earlier store has reached its line, which another processor may hold: some hundred nanoseconds,
//! which is as much as the message itself. With a *light* fence the waker only keeps the compiler from reordering, and the sleeper, which is
//! about to spend microseconds anyway, makes every processor execute a barrier (`membarrier`, globally expedited: it
//! reaches the processes that registered).
//!
//! A process says which kind it uses in the quiet line of the object when it attaches, and executes a full fence after that. A sleeper
//! announces itself, executes a full fence, and reads the kind. If it reads the old kind, then its announcement came before that
//! full fence of the attaching process, which therefore sees it. So nobody misses anybody while the kind changes.

use crate::sync::{self, Ordering::SeqCst};

/// Which fence a process uses before it looks for sleepers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// A full fence. It needs nothing of the other side.
    Full,
    /// Only the compiler's; the other side completes it.
    Light,
}

impl Fence {
    /// The best that this process can use: light where the kernel lends itself to it and there is more than one processor, for
    /// on a single one a full fence is cheap and the system call is not.
    #[cfg(not(loom))]
    pub(crate) fn choose(processors: u64) -> Self {
        if processors.count_ones() > 1 && crosstie_sys::membarrier::register() { Self::Light } else { Self::Full }
    }

    /// What stands in the quiet line for it.
    pub(crate) const fn word(self) -> u32 {
        match self {
            Self::Full => 0,
            Self::Light => 1,
        }
    }

    /// The fence that a word of the quiet line means. Whatever is unknown completes the fence, which is always safe.
    pub(crate) const fn of_word(word: u32) -> Self {
        if word == 0 { Self::Full } else { Self::Light }
    }

    /// The waker's, after it has changed the condition.
    #[inline]
    pub(crate) fn first_half(self) {
        match self {
            Self::Full => sync::fence(SeqCst),
            #[cfg(not(loom))]
            Self::Light => core::sync::atomic::compiler_fence(SeqCst),
            // loom knows no barrier that one thread executes for another: in a model both halves are full.
            #[cfg(loom)]
            Self::Light => sync::fence(SeqCst),
        }
    }

    /// The sleeper's, after its own full fence. `self` is what the waker uses.
    pub(crate) fn second_half(self) {
        match self {
            Self::Full => {}
            // The kernel that let the waker register lets us call, unless a filter of system calls is on us and not on it. Then a
            // wake-up can be missed, and the sleep ends with the next look at the peer's life, see `CHECK_EVERY`.
            #[cfg(not(loom))]
            Self::Light => {
                crosstie_sys::membarrier::everywhere();
            }
            #[cfg(loom)]
            Self::Light => sync::fence(SeqCst),
        }
    }
}
