//! What each atomic access promises, by name, with the other half of its pair.
//!
//! One place, so that the pairs can be read side by side and weakened one at a time by the mutation run. Accesses that need no promise (the
//! holder's own fields, words that carry all they say in themselves, figures for people) say `Relaxed` where they stand.

use super::faults::{Fault, is_kept, ordering};
use crate::sync::{self, Ordering};

macro_rules! orderings {
    ($($(#[$doc:meta])* $name:ident = $ordering:ident unless $fault:ident;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub(super) fn $name() -> Ordering {
            ordering(Fault::$fault, Ordering::$ordering)
        }
    )*};
}

orderings! {
    /// Taking a lock word. Pairs with [`release`]: everything that the last holder, or who recovered for it, wrote.
    take = Acquire unless Take;
    /// Giving a lock word back. Pairs with [`take`].
    release = Release unless Release;

    /// Making a written copy the current one. Pairs with [`version_seen`]: the words of the copy.
    commit = Release unless Commit;
    /// Reading which copy is current, without the lock. Pairs with [`commit`].
    version_seen = Acquire unless VersionSeen;

    /// Withdrawing a reader or returning a permit. Pairs with [`count_seen`]: a writer comes after the reads of those who left, an
    /// acquirer after what the last owner of the permit did.
    count_down = Release unless CountDown;
    /// Looking whether readers have left or permits are free. Pairs with [`count_down`].
    count_seen = Acquire unless CountSeen;
    /// A reader's look at the word after it has counted itself. Pairs with [`release`] of the writer before it.
    writer_seen = Acquire unless WriterSeen;

    /// Reading the signal before a condition is looked at. Pairs with [`signal`]: who sees the new number sees the condition as well.
    signal_seen = Acquire unless SignalSeen;
    /// Changing the signal after a condition came true. Pairs with [`signal_seen`].
    signal = Release unless Signal;

    /// Claiming the right to be told of deaths. Pairs with [`telling_done`]: what the last one was told is struck out.
    telling = Acquire unless Telling;
    /// Giving the right back. Pairs with [`telling`].
    telling_done = Release unless TellingDone;

    /// An entry is counted after it is complete, and its range is given back after it was committed. Pairs with [`journal_read`].
    journal_count = Release unless JournalCount;
    /// Reading the count before the entries. Pairs with [`journal_count`].
    journal_read = Acquire unless JournalRead;

    /// Reading the membership before looking who is dead. Pairs with the Release by which whoever saw a death changes it.
    membership_seen = Acquire unless MembershipSeen;
}

/// The fence between announcing a write and changing words. Pairs with [`snapshot_done`]: who has read a changed word sees the announcement.
#[inline(always)]
pub(super) fn write_announced() {
    if is_kept(Fault::WriteAnnounced) {
        sync::fence(Ordering::Release);
    }
}

/// The fence between the words of a snapshot and the look at what was announced meanwhile. Pairs with [`write_announced`].
#[inline(always)]
pub(super) fn snapshot_done() {
    if is_kept(Fault::SnapshotDone) {
        sync::fence(Ordering::Acquire);
    }
}

/// The full fence between a read-modify-write of our own word and the look at somebody else's, where they do the same the other way round: at
/// least one of the two sees the other.
///
/// On x86-64 the read-modify-write is a full fence by itself, so the compiler alone must be told.
#[inline(always)]
pub(super) fn full_fence_after_rmw(fault: Fault) {
    if is_kept(fault) {
        #[cfg(all(target_arch = "x86_64", not(loom)))]
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        #[cfg(not(all(target_arch = "x86_64", not(loom))))]
        sync::fence(Ordering::SeqCst);
    }
}

/// The full fence between saying that one is armed and asking for the lock, and between giving it back and looking who is armed.
pub(super) fn armed_fence(fault: Fault) {
    if is_kept(fault) {
        sync::fence(Ordering::SeqCst);
    }
}

/// The fence between counting an entry of the journal and changing what it covers.
#[inline(always)]
pub(super) fn journal_before_data() {
    if is_kept(Fault::JournalBeforeData) {
        sync::fence(Ordering::Release);
    }
}
