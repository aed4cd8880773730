//! What a mutation run may weaken or leave out of rings, pools and values, one at a time: each ordering, each wake, each flag.
//!
//! In a build for models the fault is chosen while it runs (`CROSSTIE_RING_FAULT`), so one build serves all of them. In any other build
//! nothing can be chosen, and what is here costs nothing.

use crate::sync::Ordering;

macro_rules! faults {
    ($($name:ident = $text:literal,)*) => {
        /// One thing that can be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            $(#[doc = $text] $name,)*
        }

        #[cfg(loom)]
        impl Fault {
            /// All of them, by the names under which they are chosen.
            pub(crate) const ALL: &[(Self, &'static str)] = &[$((Self::$name, stringify!($name)),)*];
        }
    };
}

faults! {
    Stamp = "the Release of a slot's stamp",
    StampSeen = "the Acquire of a slot's stamp",
    Header = "the Release of a frame's header",
    HeaderSeen = "the Acquire of a frame's header",
    NextHeader = "the zero where the next header will be",
    Taken = "the Release of the receiver's position",
    TakenSeen = "the Acquire of the receiver's position",
    ResumeWalk = "a sender's walk over what its predecessor sent but did not count",
    Seat = "the Release of taking a seat and of leaving it",
    SeatSeen = "the Acquire of reading who sits",
    WakerFence = "the full fence of the waker",
    SleeperFence = "the full fence of the sleeper",
    Epoch = "moving the epoch before a wake",
    EpochSeen = "the Acquire of the epoch",
    Flag = "the flag of a sleeper",
    Wake = "the wake itself",
    RingBit = "the bit of an object that may be ready",
    RingBitSeen = "the Acquire of reading those bits",
    RingBitStored = "the Release of setting one",
    RingWake = "the wake of the thread that listens for a participant",
    HeardLook = "the look of the listening thread between its announcement and its sleep",
    HeardMembers = "the listening thread's look at who takes part",
    LookAgain = "the look between the announcement and the sleep",
    Loaned = "the Acquire of loaning a free buffer",
    Returned = "the Release of returning a buffer",
    AuthorSeen = "the look whose loan it is that is settled",
    SettledAlone = "settling while nobody else of the process comes by the buffer",
    Given = "giving the receiver its bit before the token is sent",
    GiveCheck = "the look whether the receiver still lives after it was given its bit",
    LatestStored = "the Release of making a buffer the latest",
    LatestSeen = "the Acquire of reading which buffer is the latest",
    Claimed = "a reader's claim of the buffer that it reads",
    Helped = "a writer's help for readers that are about to claim",
    HelpedOnResume = "the same help by a writer that takes over",
    ReaderFence = "the full fence between a reader's opening and its look at the latest",
    WriterFence = "the full fence between the latest and the writer's look at the readers",
    StreamTail = "the Release of how much of a stream was written",
    StreamTailSeen = "the Acquire of that",
    StreamHead = "the Release of how much of a stream was read",
    StreamHeadSeen = "the Acquire of that",
    StreamEnded = "the Release of the end of a stream",
    StreamEndedSeen = "the Acquire of that",
    StreamWakerFence = "the full fence between a change of a stream and the look who waits for it",
    StreamSleeperFence = "the full fence between the word of who waits for a stream and its last look",
    StreamFlag = "the word of who waits for a stream",
    StreamLookAgain = "the last look of who waits for a stream",
}

/// The ordering that stands in the code, or none of it if it is the fault of this run.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn ordering(_fault: Fault, ordering: Ordering) -> Ordering {
    ordering
}

/// True unless it is the fault of this run to leave this out.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn is_kept(_fault: Fault) -> bool {
    true
}

#[cfg(loom)]
pub(crate) use chosen::{is_kept, ordering};

#[cfg(loom)]
mod chosen {
    use std::sync::LazyLock;

    use super::{Fault, Ordering};

    static CHOSEN: LazyLock<Option<Fault>> = LazyLock::new(|| {
        let chosen = std::env::var("CROSSTIE_RING_FAULT").ok()?;
        let known = Fault::ALL.iter().find(|(_, name)| *name == chosen);
        Some(known.unwrap_or_else(|| panic!("expected the name of a fault in CROSSTIE_RING_FAULT, came {chosen}")).0)
    });

    pub(crate) fn ordering(fault: Fault, ordering: Ordering) -> Ordering {
        if is_kept(fault) { ordering } else { Ordering::Relaxed }
    }

    pub(crate) fn is_kept(fault: Fault) -> bool {
        *CHOSEN != Some(fault)
    }
}
