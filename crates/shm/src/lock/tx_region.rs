//! A large value that is changed in place and put back as it was if the change does not end well.

use std::{
    fmt,
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull,
    sync::Arc,
    task::{Context, Poll},
};

use crosstie_core::{Deadline, FencingToken};

use super::{
    acquired::Acquired,
    error::LockError,
    handle::LockHandle,
    mutex::taken,
    plan::{Data, LockKind, Parts, Plan},
    protocol::{self, Journal, JournalError, Told},
};
use crate::{
    error::Result,
    header::{Kind, MAX_LEN},
    name::SegmentName,
    notifier::{Alarm, Armer, Notifier},
    participant::{Participant, program_name},
    schema::ShmSafe,
    segment::{Directory, Segment, Spec},
};

/// A large value, changed in place under an undo journal.
///
/// Where a [`Region`](super::Region) copies the whole value for each change, this keeps only what was there before of the parts that change: the cost
/// follows the bytes that are touched. [`TxGuard::edit`] says which part; it is kept in the journal first, and if there is no room for it, that is an
/// error before anything was written.
///
/// What ends how is as with [`Mutex`](super::Mutex). There are no snapshots without the lock, because there is one copy.
#[derive(Debug)]
pub struct TxRegion<T> {
    handle: Arc<LockHandle>,
    _type: PhantomData<fn() -> T>,
}

/// Why a part may not be changed. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TxError {
    /// The journal has no room for what the part was before.
    #[error(
        "expected at most {left} bytes to be kept, came {needed}: commit more often, or make the region with a larger journal"
    )]
    JournalFull {
        /// Bytes that it would take.
        needed: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// What was picked is not a part of the value.
    #[error("expected a part of the value that the closure was given, came something else")]
    NotAPart,
    /// This is a child of `fork`, and the guard belongs to its parent.
    #[error("this process was forked from the one that holds the lock; lock it anew in the child")]
    Forked,
}

impl<T: ShmSafe> TxRegion<T> {
    const DATA: u64 = (size_of::<T>() as u64).next_multiple_of(64);
    const ALIGNED: () =
        assert!(align_of::<T>() <= 64 && size_of::<T>() > 0, "a shared value is aligned to 64 bytes at most");

    /// A new region of that name, whose journal keeps `journal` bytes. `fill` makes its first value out of zeroes.
    ///
    /// # Errors
    ///
    /// As [`Participant::create`].
    pub fn create(directory: &Directory, name: &SegmentName, journal: u64, fill: impl FnOnce(&mut T)) -> Result<Self> {
        let spec = Self::spec(journal);
        let fill = |new: &Segment| Self::fill(new, name.as_str(), journal, fill);
        Self::of(&Participant::create(directory, name, &spec, fill, &program_name())?)
    }

    /// The region of that name.
    ///
    /// # Errors
    ///
    /// As [`Participant::open`].
    pub fn open(directory: &Directory, name: &SegmentName) -> Result<Self> {
        Self::of(&Participant::open(directory, name, &Self::spec(0).expectation(), &program_name())?)
    }

    /// The region of that name, made if there is none. `journal` and `fill` count only then.
    ///
    /// # Errors
    ///
    /// As [`Participant::enter`].
    pub fn open_or_create(
        directory: &Directory,
        name: &SegmentName,
        journal: u64,
        fill: impl Fn(&mut T),
    ) -> Result<Self> {
        let spec = Self::spec(journal);
        let fill = |new: &Segment| Self::fill(new, name.as_str(), journal, &fill);
        Self::of(&Participant::enter(directory, name, &spec.expectation(), &spec, fill, &program_name())?)
    }

    /// The region in the segment of `participant`.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`](crate::Error::Spec) if it has none; [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn of(participant: &Participant) -> Result<Self> {
        let () = Self::ALIGNED;
        let handle = LockHandle::open(participant, 0, LockKind::Mutex)?;
        match &handle.parts.data {
            Data::Journalled { data, .. } if data.len() as u64 * 8 == Self::DATA => {
                Ok(Self { handle, _type: PhantomData })
            }
            _ => Err(participant.segment().corrupt(format!("a journal and {} bytes of data", Self::DATA))),
        }
    }

    const fn plan(journal: u64) -> Plan {
        // No sum of lengths comes round to something small; a segment as long as this is refused.
        let journal = if journal > MAX_LEN { MAX_LEN } else { journal };
        // Room for the count.
        let journal = (journal + protocol::JOURNAL_HEADER).next_multiple_of(64);
        Plan { kind: LockKind::Mutex, permits: 0, data: Self::DATA, journal }
    }

    fn spec(journal: u64) -> Spec {
        let spec = Spec::new(Kind::TxRegion, T::element()).locks(1);
        let participants = spec.participants_planned();
        spec.data(Self::plan(journal).bytes(participants))
    }

    fn fill(segment: &Segment, name: &str, journal: u64, fill: impl FnOnce(&mut T)) -> Result<()> {
        let () = Self::ALIGNED;
        Self::plan(journal).lay_out(segment, 0, name)?;
        if let Data::Journalled { data, .. } = &Parts::of(segment, 0)?.data {
            let mut place: NonNull<T> = NonNull::from(&**data).cast();
            // SAFETY: zeroed memory of the size and alignment of a `T`, of which every pattern is a value. Nobody else has mapped it yet: the
            // segment is not published.
            fill(unsafe { place.as_mut() });
        }
        Ok(())
    }

    /// Takes the lock, waiting for it until `deadline`.
    ///
    /// # Errors
    ///
    /// [`LockError::TimedOut`], [`LockError::HeldByThisThread`], [`LockError::Segment`].
    ///
    /// # Blocking
    ///
    /// Until the lock is free or the deadline passes.
    #[inline]
    pub fn lock(&self, deadline: Deadline) -> Result<Acquired<TxGuard<'_, T>>, LockError> {
        let token = self.handle.take(Some(deadline))?;
        Ok(self.guard(token))
    }

    /// Takes the lock if nobody has it who lives.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`], [`LockError::Segment`].
    #[inline]
    pub fn try_lock(&self) -> Result<Acquired<TxGuard<'_, T>>, LockError> {
        let token = self.handle.take(None)?;
        Ok(self.guard(token))
    }

    /// Somebody who waits for the lock without blocking.
    pub const fn waiting(&self) -> TxWaiter<'_, T> {
        TxWaiter { region: self, armer: Armer::new() }
    }

    /// This process's place in the segment.
    pub fn participant(&self) -> &Participant {
        &self.handle.participant
    }

    fn guard(&self, token: FencingToken) -> Acquired<TxGuard<'_, T>> {
        let told = protocol::untold(self.handle.cell());
        let outcome = self.handle.outcome(told.as_ref());
        let Data::Journalled { journal, data } = &self.handle.parts.data else {
            unreachable!("`of` refuses a lock without a journal")
        };
        let journal = Journal::new(journal, data);
        let place = NonNull::from(&**data).cast();
        let guard = TxGuard {
            handle: &self.handle,
            journal,
            place,
            kept: Default::default(),
            next: 0,
            token,
            told,
            _in_this_thread: PhantomData,
        };
        Acquired { guard, outcome }
    }
}

/// Somebody who waits for a [`TxRegion`] without blocking; each task or key has one of its own. As [`MutexWaiter`](super::MutexWaiter).
#[derive(Debug)]
pub struct TxWaiter<'a, T> {
    region: &'a TxRegion<T>,
    armer: Armer,
}

impl<'a, T: ShmSafe> TxWaiter<'a, T> {
    /// The lock, or the task of `cx` is woken when it is worth another look; as [`MutexWaiter::poll_lock`](super::MutexWaiter::poll_lock).
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn poll_lock(&mut self, cx: &Context<'_>) -> Poll<Result<Acquired<TxGuard<'a, T>>, LockError>> {
        self.poll_with(|| Alarm::Task(cx.waker().clone()))
    }

    /// Arms: `key` is rung in `notifier` once when it is worth another look. `Some` if the lock is taken now.
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn arm(&mut self, notifier: &Notifier, key: u64) -> Result<Option<Acquired<TxGuard<'a, T>>>, LockError> {
        taken(self.poll_with(|| Alarm::Key(notifier.clone(), key)))
    }

    fn poll_with(&mut self, alarm: impl FnOnce() -> Alarm) -> Poll<Result<Acquired<TxGuard<'a, T>>, LockError>> {
        match self.region.try_lock() {
            Err(LockError::Held { .. }) => {}
            outcome => return Poll::Ready(outcome),
        }
        if self.region.handle.poll_word(&mut self.armer, alarm())? {
            Poll::Ready(Ok(self.region.guard(self.region.handle.entered())))
        } else {
            Poll::Pending
        }
    }
}

/// Parts that a guard remembers to have kept, so that they are not kept twice.
const REMEMBERED: usize = 8;

/// The lock of a [`TxRegion`], and its value. Dropping it undoes what was not committed and gives the lock back.
#[must_use = "dropping it gives the lock back"]
pub struct TxGuard<'a, T: ShmSafe> {
    handle: &'a LockHandle,
    journal: Journal<'a>,
    place: NonNull<T>,
    /// Words that were kept lately: first, and one beyond the last.
    kept: [(usize, usize); REMEMBERED],
    next: usize,
    token: FencingToken,
    told: Option<Told>,
    /// Not `Send`: the lock belongs to a thread.
    _in_this_thread: PhantomData<*const ()>,
}

impl<T: ShmSafe> TxGuard<'_, T> {
    /// The number of this acquisition: greater than those of all before.
    pub const fn token(&self) -> FencingToken {
        self.token
    }

    /// The part that `pick` finds, to be changed. It is kept in the journal first.
    ///
    /// # Errors
    ///
    /// [`TxError`]: nothing was written, and what was changed before still counts with the next commit.
    pub fn edit<P: ShmSafe>(&mut self, pick: impl FnOnce(&T) -> &P) -> Result<&mut P, TxError> {
        let part = NonNull::from(pick(self));
        self.keep(part.addr().get(), size_of::<P>())?;
        // SAFETY: a part of the value, of a type of which every pattern is a value; the guard is borrowed exclusively for as long as it is out.
        // The address is taken from the value's own place, which may be written.
        Ok(unsafe { self.place.cast::<u8>().add(part.addr().get() - self.place.addr().get()).cast::<P>().as_mut() })
    }

    /// The part of an array that `pick` finds, to be changed. It is kept in the journal first.
    ///
    /// # Errors
    ///
    /// As [`TxGuard::edit`].
    pub fn edit_slice<P: ShmSafe>(&mut self, pick: impl FnOnce(&T) -> &[P]) -> Result<&mut [P], TxError> {
        let part = NonNull::from(pick(self));
        let start = part.cast::<P>().addr().get();
        self.keep(start, size_of::<P>() * part.len())?;
        // SAFETY: as in `edit`.
        unsafe {
            let first = self.place.cast::<u8>().add(start - self.place.addr().get()).cast::<P>();
            Ok(NonNull::slice_from_raw_parts(first, part.len()).as_mut())
        }
    }

    /// Makes the changes count and gives the lock back.
    pub fn commit(mut self) {
        self.save();
    }

    /// Makes the changes count so far and keeps the lock; the journal is empty again.
    pub fn save(&mut self) {
        self.kept = Default::default();
        if self.handle.is_ours() {
            self.journal.commit();
        }
    }

    /// Undoes the changes since the last commit and keeps the lock.
    pub fn roll_back(&mut self) {
        self.kept = Default::default();
        if self.handle.is_ours() && self.journal.is_open() {
            self.journal.undo();
        }
    }

    /// Keeps the words around `len` bytes at address `start`.
    fn keep(&mut self, start: usize, len: usize) -> Result<(), TxError> {
        if !self.handle.is_ours() {
            return Err(TxError::Forked);
        }
        let at = start.checked_sub(self.place.addr().get()).ok_or(TxError::NotAPart)?;
        let end = at.checked_add(len).filter(|end| *end <= size_of::<T>()).ok_or(TxError::NotAPart)?;
        let words = (at / 8, end.div_ceil(8));
        if self.kept.iter().any(|kept| kept.0 <= words.0 && words.1 <= kept.1) {
            return Ok(());
        }
        self.journal.keep(words.0, words.1 - words.0).map_err(|error| match error {
            JournalError::Full { needed, left } => {
                TxError::JournalFull { needed: needed as u64 * 8, left: left as u64 * 8 }
            }
            JournalError::OutOfRange => TxError::NotAPart,
        })?;
        self.kept[self.next] = words;
        self.next = (self.next + 1) % REMEMBERED;
        Ok(())
    }
}

impl<T: ShmSafe> Deref for TxGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: memory of the size and alignment of a `T`, of which every pattern is a value; written by this guard alone, through `edit`.
        unsafe { self.place.as_ref() }
    }
}

impl<T: ShmSafe> Drop for TxGuard<'_, T> {
    fn drop(&mut self) {
        if !self.handle.is_ours() {
            return;
        }
        self.roll_back();
        let cell = self.handle.cell();
        if let Some(told) = &self.told {
            protocol::acknowledge(cell, told, &[]);
        }
        protocol::leave(cell);
        protocol::release(cell, self.handle);
    }
}

impl<T: ShmSafe> fmt::Debug for TxGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxGuard").field("token", &self.token).finish_non_exhaustive()
    }
}
