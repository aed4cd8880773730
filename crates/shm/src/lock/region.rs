//! A named value that processes share: changed by one at a time, read by anybody at any time, fenced against late writers.

use std::{
    ops::{Deref, DerefMut},
    os::fd::OwnedFd,
    task::{Context, Poll},
};

use crosstie_core::{Deadline, FencingToken};

use super::{
    acquired::Acquired,
    error::LockError,
    mutex::{Mutex, MutexGuard, MutexWaiter},
};
use crate::{
    error::Result,
    header::Kind,
    name::SegmentName,
    notifier::Notifier,
    participant::{Participant, program_name},
    schema::ShmSafe,
    segment::{Directory, Segment},
    sync::Ordering::Relaxed,
};

/// A value in a segment of its own.
///
/// It is a [`Mutex`] with a memory for the fencing tokens of other locks. Where a lease of a broker says who may write, the writer brings the
/// lease's token along, and the region refuses it once a later token has been here: see [`RegionGuard::fence`].
///
/// Commits to two regions are two commits: a process that is killed in between has made one of them.
#[derive(Debug)]
pub struct Region<T> {
    mutex: Mutex<T>,
}

impl<T: ShmSafe> Region<T> {
    /// A new region of that name.
    ///
    /// # Errors
    ///
    /// As [`Participant::create`].
    pub fn create(directory: &Directory, name: &SegmentName, initial: T) -> Result<Self> {
        let fill = |segment: &Segment| Mutex::fill(segment, name.as_str(), initial);
        Self::of(&Participant::create(directory, name, &Mutex::<T>::spec(Kind::Region), fill, &program_name())?)
    }

    /// The region of that name.
    ///
    /// # Errors
    ///
    /// As [`Participant::open`].
    pub fn open(directory: &Directory, name: &SegmentName) -> Result<Self> {
        Self::of(&Participant::open(directory, name, &Mutex::<T>::spec(Kind::Region).expectation(), &program_name())?)
    }

    /// The region of that name, made if there is none. `initial` counts only then.
    ///
    /// # Errors
    ///
    /// As [`Participant::enter`].
    pub fn open_or_create(directory: &Directory, name: &SegmentName, initial: T) -> Result<Self> {
        let spec = Mutex::<T>::spec(Kind::Region);
        let fill = |segment: &Segment| Mutex::fill(segment, name.as_str(), initial);
        Self::of(&Participant::enter(directory, name, &spec.expectation(), &spec, fill, &program_name())?)
    }

    /// A new region without a name, for this process and for those to whom it gives the descriptor of its segment
    /// (`region.participant().segment()`), which open it by [`Region::from_descriptor`]. It ends with the last of them.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`] and [`Participant::join`].
    pub fn anonymous(initial: T) -> Result<Self> {
        let fill = |segment: &Segment| Mutex::fill(segment, "", initial);
        let segment = Segment::anonymous("", &Mutex::<T>::spec(Kind::Region), fill)?;
        Self::of(&Participant::join(&segment, &program_name())?)
    }

    /// The region behind a descriptor that came from another process.
    ///
    /// # Errors
    ///
    /// As [`Segment::from_descriptor`] and [`Participant::join`].
    pub fn from_descriptor(file: OwnedFd) -> Result<Self> {
        let segment = Segment::from_descriptor(file, &Mutex::<T>::spec(Kind::Region).expectation())?;
        Self::of(&Participant::join(&segment, &program_name())?)
    }

    /// The region in the segment of `participant`.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`](crate::Error::Spec) if it has none; [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn of(participant: &Participant) -> Result<Self> {
        Ok(Self { mutex: Mutex::of(participant)? })
    }

    /// Takes the lock, waiting for it until `deadline`; as [`Mutex::lock`].
    ///
    /// # Errors
    ///
    /// [`LockError::TimedOut`], [`LockError::HeldByThisThread`], [`LockError::Segment`].
    ///
    /// # Blocking
    ///
    /// Until the lock is free or the deadline passes.
    #[inline(always)]
    pub fn lock(&self, deadline: Deadline) -> Result<Acquired<RegionGuard<'_, T>>, LockError> {
        Ok(wrapped(self.mutex.lock(deadline)?))
    }

    /// Takes the lock if nobody has it who lives.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`], [`LockError::Segment`].
    #[inline(always)]
    pub fn try_lock(&self) -> Result<Acquired<RegionGuard<'_, T>>, LockError> {
        Ok(wrapped(self.mutex.try_lock()?))
    }

    /// Somebody who waits for the lock without blocking.
    pub const fn waiting(&self) -> RegionWaiter<'_, T> {
        RegionWaiter(self.mutex.waiting())
    }

    /// Runs `change` on the value and commits what it did, if it says `Ok`.
    ///
    /// # Errors
    ///
    /// What `change` says; of its own those of [`Region::lock`].
    pub fn update<R, E: From<LockError>>(
        &self,
        deadline: Deadline,
        change: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        self.mutex.update(deadline, change)
    }

    /// The committed value, without the lock and whoever holds it; as [`Mutex::snapshot`].
    ///
    /// # Errors
    ///
    /// As [`Region::lock`], if it came to that.
    pub fn snapshot(&self, deadline: Deadline) -> Result<T, LockError> {
        self.mutex.snapshot(deadline)
    }

    /// The committed value, and how many commits there were before it.
    ///
    /// # Errors
    ///
    /// As [`Region::snapshot`].
    pub fn snapshot_with_version(&self, deadline: Deadline) -> Result<(T, u64), LockError> {
        self.mutex.snapshot_with_version(deadline)
    }

    /// This process's place in the segment.
    pub fn participant(&self) -> &Participant {
        self.mutex.participant()
    }
}

/// Somebody who waits for a [`Region`] without blocking; each task or key has one of its own. As [`MutexWaiter`].
#[derive(Debug)]
pub struct RegionWaiter<'a, T>(MutexWaiter<'a, T>);

impl<'a, T: ShmSafe> RegionWaiter<'a, T> {
    /// The lock, or the task of `cx` is woken when it is worth another look; as [`MutexWaiter::poll_lock`].
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn poll_lock(&mut self, cx: &Context<'_>) -> Poll<Result<Acquired<RegionGuard<'a, T>>, LockError>> {
        self.0.poll_lock(cx).map_ok(wrapped)
    }

    /// Arms: `key` is rung in `notifier` once when it is worth another look. `Some` if the lock is taken now.
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn arm(&mut self, notifier: &Notifier, key: u64) -> Result<Option<Acquired<RegionGuard<'a, T>>>, LockError> {
        Ok(self.0.arm(notifier, key)?.map(wrapped))
    }
}

/// The lock of a [`Region`], and its value. Dropping it gives the lock back and undoes what was not committed.
#[derive(Debug)]
#[must_use = "dropping it gives the lock back"]
pub struct RegionGuard<'a, T: ShmSafe>(MutexGuard<'a, T>);

/// A writer that came too late: somebody with a later token has been here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a fencing token of at least {highest}, came {came}: a later holder has written here; get the lease anew"
)]
pub struct Fenced {
    /// The highest token that has been here.
    pub highest: FencingToken,
    /// The token that came.
    pub came: FencingToken,
}

impl<T: ShmSafe> RegionGuard<'_, T> {
    /// The number of this acquisition: greater than those of all before.
    pub fn token(&self) -> FencingToken {
        self.0.token()
    }

    /// Lets the holder of another lock or lease write, by its `token`, and from then on none with a smaller one. That it has been here is
    /// kept whatever becomes of the changes.
    ///
    /// # Errors
    ///
    /// [`Fenced`]: drop the guard.
    pub fn fence(&self, token: FencingToken) -> Result<(), Fenced> {
        let place = &self.0.handle().cell().foreign_token;
        // Under the lock, which orders it.
        let highest = place.load(Relaxed);
        if token.number() < highest {
            return Err(Fenced { highest: FencingToken::new(highest), came: token });
        }
        if self.0.handle().is_ours() {
            place.store(token.number(), Relaxed);
        }
        Ok(())
    }

    /// Makes the changes count and gives the lock back. Returns how many commits there were so far.
    #[inline(always)]
    pub fn commit(self) -> u64 {
        self.0.commit()
    }

    /// Makes the changes count so far and keeps the lock. Returns how many commits there were so far.
    #[inline]
    pub fn save(&mut self) -> u64 {
        self.0.save()
    }

    /// Undoes the changes since the last commit and keeps the lock.
    pub fn roll_back(&mut self) {
        self.0.roll_back();
    }
}

impl<T: ShmSafe> Deref for RegionGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ShmSafe> DerefMut for RegionGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

#[inline(always)]
fn wrapped<T: ShmSafe>(acquired: Acquired<MutexGuard<'_, T>>) -> Acquired<RegionGuard<'_, T>> {
    Acquired { guard: RegionGuard(acquired.guard), outcome: acquired.outcome }
}
