//! What a mutation run may weaken or leave out, one at a time: each ordering, each wake, each flag.
//!
//! In a build for models the fault is chosen while it runs (`CROSSTIE_FAULT`), so one build serves all of them. In any other build
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
    Take = "the Acquire of taking the word",
    Release = "the Release of giving it back",
    Commit = "the Release of making a copy current",
    VersionSeen = "the Acquire of reading which copy is current",
    WriteAnnounced = "the fence between announcing a write and its words",
    SnapshotDone = "the fence between a snapshot and the look at what was announced",
    CountDown = "the Release of leaving as a reader or giving back a permit",
    CountSeen = "the Acquire of looking at the counts",
    WriterSeen = "the Acquire of a reader's second look at the word",
    ReaderFence = "the full fence between a reader's count and its look at the word",
    WriterFence = "the full fence between a writer's word and its look at the counts",
    LeaveFence = "the full fence between counting down and looking for waiters",
    SignalFence = "the full fence between asking for a signal and the last look at the counts",
    SignalSeen = "the Acquire of reading the signal",
    Signal = "the Release of raising the signal",
    Telling = "the Acquire of claiming the right to be told",
    TellingDone = "the Release of giving that right back",
    HintFence = "the full fence between lowering the hint of dead counts and reading them",
    JournalCount = "the Release of counting an entry of the journal",
    JournalRead = "the Acquire of reading that count",
    JournalBeforeData = "the fence between counting an entry and changing its bytes",
    MembershipSeen = "the Acquire of reading who takes part",
    WakeOnRelease = "the wake after giving the word back",
    WakeAllOnRelease = "the wake of all after a writer leaves",
    WakeOnSignal = "the wake after the signal is raised",
    WakeOnRecovery = "the wake after a dead holder's word is freed",
    WaitersBit = "setting the waiters' bit before sleeping",
    WaitersBitKept = "taking the word with the waiters' bit after having slept",
    SignalBit = "setting the signal's bit before sleeping",
    SecondLook = "a writer's last look at the counts before sleeping",
    ReaderSecondLook = "a reader's look at the word after it has counted itself",
    MembershipWait = "sleeping on the membership beside the word",
    LookForTheDead = "looking whether the holder is dead before sleeping",
    Announcement = "announcing a write before it is made",
    SnapshotCheck = "looking at the announcement after a snapshot",
    Undo = "undoing what a dead holder had begun",
    UndoBeforeRelease = "undoing it before the word is freed, not after",
    DeathRecorded = "recording the death of a holder",
    DeathOnce = "recording it only once",
    CountRecovered = "taking back what a dead participant had counted",
    ClaimDropped = "taking back a dead participant's claim to be told",
    Acknowledged = "striking out what was told",
    AcknowledgedLate = "striking it out when the guard goes and not when it comes",
    Armed = "saying in the cell that somebody waits by descriptor",
    ArmedFence = "the full fence between saying so and asking for the lock",
    ArmedAsks = "asking for the word when it was in the way of one who armed",
    ArmedDownFirst = "taking that down before all are told, not after",
    RingFence = "the full fence between giving the lock back and looking whether anybody armed",
    RingAll = "telling all who armed",
}

/// The ordering that stands in the code, or none of it if it is the fault of this run.
#[cfg(not(loom))]
#[inline(always)]
pub(super) const fn ordering(_fault: Fault, ordering: Ordering) -> Ordering {
    ordering
}

/// True unless it is the fault of this run to leave this out.
#[cfg(not(loom))]
#[inline(always)]
pub(super) const fn is_kept(_fault: Fault) -> bool {
    true
}

#[cfg(loom)]
pub(super) use chosen::{is_kept, ordering};

#[cfg(loom)]
mod chosen {
    use std::sync::LazyLock;

    use super::{Fault, Ordering};

    static CHOSEN: LazyLock<Option<Fault>> = LazyLock::new(|| {
        let chosen = std::env::var("CROSSTIE_FAULT").ok()?;
        let known = Fault::ALL.iter().find(|(_, name)| *name == chosen);
        Some(known.unwrap_or_else(|| panic!("expected the name of a fault in CROSSTIE_FAULT, came {chosen}")).0)
    });

    pub(in super::super) fn ordering(fault: Fault, ordering: Ordering) -> Ordering {
        if is_kept(fault) { ordering } else { Ordering::Relaxed }
    }

    pub(in super::super) fn is_kept(fault: Fault) -> bool {
        *CHOSEN != Some(fault)
    }
}
