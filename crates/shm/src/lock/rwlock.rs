//! A value that many processes may read at a time and one may change, whole whoever dies.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    task::{Context, Poll},
};

use crosstie_core::{Deadline, FencingToken};

use super::{
    acquired::Acquired,
    error::LockError,
    handle::LockHandle,
    mutex::taken,
    plan::{LockKind, Parts, Plan},
    protocol::{self, InTheWay, Told},
    threads,
    value::{Guarded, Value, Writing},
};
use crate::{
    error::Result,
    header::Kind,
    name::SegmentName,
    notifier::{Alarm, Armer, Notifier},
    participant::{Participant, program_name},
    schema::ShmSafe,
    segment::{Directory, Segment, Spec},
};

/// A value that many may read at a time and one may change.
///
/// A reader that only wants the value needs no lock: [`RwLock::snapshot`] costs no shared write. A read *guard* is for those who need the value
/// to stay as it is for a while, or by reference. A writer keeps new readers out while it waits for those who are in, so readers do not
/// starve it; writers may starve readers.
///
/// Readers are counted for each process, so the readers of one that was killed are withdrawn exactly, and the next guard is told. Besides that,
/// what ends how is as with [`Mutex`](super::Mutex), but that a *read* guard which a thread forgot stays until its process ends.
///
/// A process may have half a million readers in at a time.
///
/// A thread that has a read guard and wants to write waits for itself, until its deadline. So does one that wants to read once more while a
/// writer waits for its first guard.
#[derive(Debug)]
pub struct RwLock<T>(Guarded<T>);

impl<T: ShmSafe> RwLock<T> {
    const PLAN: Plan = Plan { kind: LockKind::RwLock, permits: 0, data: Value::<T>::BYTES, journal: 0 };

    /// A new lock of that name.
    ///
    /// # Errors
    ///
    /// As [`Participant::create`].
    pub fn create(directory: &Directory, name: &SegmentName, initial: T) -> Result<Self> {
        let fill = |segment: &Segment| Self::fill(segment, name.as_str(), initial);
        Self::of(&Participant::create(directory, name, &Self::spec(), fill, &program_name())?)
    }

    /// The lock of that name.
    ///
    /// # Errors
    ///
    /// As [`Participant::open`].
    pub fn open(directory: &Directory, name: &SegmentName) -> Result<Self> {
        Self::of(&Participant::open(directory, name, &Self::spec().expectation(), &program_name())?)
    }

    /// The lock of that name, made if there is none. `initial` counts only then.
    ///
    /// # Errors
    ///
    /// As [`Participant::enter`].
    pub fn open_or_create(directory: &Directory, name: &SegmentName, initial: T) -> Result<Self> {
        let fill = |segment: &Segment| Self::fill(segment, name.as_str(), initial);
        let spec = Self::spec();
        Self::of(&Participant::enter(directory, name, &spec.expectation(), &spec, fill, &program_name())?)
    }

    /// The lock in the segment of `participant`.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`](crate::Error::Spec) if it has none; [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn of(participant: &Participant) -> Result<Self> {
        let handle = LockHandle::open(participant, 0, LockKind::RwLock)?;
        let value = Value::of(participant.segment(), &handle.parts)?;
        Ok(Self(Guarded::new(handle, value)))
    }

    fn spec() -> Spec {
        let spec = Spec::new(Kind::Locks, T::element()).locks(1);
        let participants = spec.participants_planned();
        spec.data(Self::PLAN.bytes(participants))
    }

    fn fill(segment: &Segment, name: &str, initial: T) -> Result<()> {
        Self::PLAN.lay_out(segment, 0, name)?;
        Value::fill(&Parts::of(segment, 0)?, initial);
        Ok(())
    }

    /// Takes the lock for reading, waiting until `deadline` for a writer to leave.
    ///
    /// # Errors
    ///
    /// [`LockError::TimedOut`], [`LockError::HeldByThisThread`], [`LockError::TooManyReaders`], [`LockError::Segment`].
    ///
    /// # Blocking
    ///
    /// While there is a writer.
    #[inline]
    pub fn read(&self, deadline: Deadline) -> Result<Acquired<ReadGuard<'_, T>>, LockError> {
        let handle = &*self.0.handle;
        handle.participant.check()?;
        handle.check_room_for_a_reader()?;
        if protocol::try_read(handle.cell(), handle.mine(), handle).is_err() {
            handle.refuse_waiting_for_oneself()?;
            let waited = handle.wait(deadline, |wait| protocol::read(handle.cell(), handle.mine(), wait))?;
            handle.note(waited, 0);
        }
        Ok(self.reading())
    }

    /// Takes the lock for reading if there is no writer that lives.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`], [`LockError::TooManyReaders`], [`LockError::Segment`].
    #[inline]
    pub fn try_read(&self) -> Result<Acquired<ReadGuard<'_, T>>, LockError> {
        let handle = &*self.0.handle;
        handle.check_room_for_a_reader()?;
        handle.attempt(|| protocol::try_read(handle.cell(), handle.mine(), handle).is_ok())?;
        Ok(self.reading())
    }

    /// Takes the lock for writing, waiting until `deadline` for everyone to leave.
    ///
    /// # Errors
    ///
    /// [`LockError::TimedOut`], [`LockError::HeldByThisThread`], [`LockError::Segment`].
    ///
    /// # Blocking
    ///
    /// While there are readers or another writer.
    #[inline]
    pub fn write(&self, deadline: Deadline) -> Result<Acquired<WriteGuard<'_, T>>, LockError> {
        let handle = &*self.0.handle;
        handle.participant.check()?;
        if protocol::try_write(handle.cell(), handle.me, handle.counts(), handle).is_err() {
            handle.refuse_waiting_for_oneself()?;
            let waited =
                handle.wait(deadline, |wait| protocol::write(handle.cell(), handle.me, handle.counts(), wait))?;
            let acquired = self.writing();
            handle.note(waited, acquired.guard.token().number());
            return Ok(acquired);
        }
        Ok(self.writing())
    }

    /// Takes the lock for writing if nobody has it who lives.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`], [`LockError::Segment`].
    #[inline]
    pub fn try_write(&self) -> Result<Acquired<WriteGuard<'_, T>>, LockError> {
        let handle = &*self.0.handle;
        handle.attempt(|| protocol::try_write(handle.cell(), handle.me, handle.counts(), handle).is_ok())?;
        Ok(self.writing())
    }

    /// The committed value, without the lock and whoever holds it; it takes the lock for reading if writers are too busy.
    ///
    /// # Errors
    ///
    /// As [`RwLock::read`], if it came to that.
    pub fn snapshot(&self, deadline: Deadline) -> Result<T, LockError> {
        self.0.handle.participant.check()?;
        for _ in 0..super::mutex::SNAPSHOT_TRIES {
            if let Some((found, _version)) = self.0.value.snapshot(self.0.handle.cell()) {
                return Ok(found);
            }
            crate::sync::spin_loop();
        }
        Ok(*self.read(deadline)?.guard)
    }

    /// Somebody who waits for the lock without blocking, to read or to write.
    pub const fn waiting(&self) -> RwLockWaiter<'_, T> {
        RwLockWaiter { lock: self, armer: Armer::new() }
    }

    /// This process's place in the segment.
    pub fn participant(&self) -> &Participant {
        &self.0.handle.participant
    }

    #[inline]
    fn reading(&self) -> Acquired<ReadGuard<'_, T>> {
        let handle = &*self.0.handle;
        let told = protocol::claim(handle.cell(), handle.me, handle.counts());
        let outcome = handle.outcome(told.as_ref());
        let place = self.0.value.current(handle.cell());
        Acquired { guard: ReadGuard { lock: self, place, told, _in_this_thread: PhantomData }, outcome }
    }

    #[inline]
    fn writing(&self) -> Acquired<WriteGuard<'_, T>> {
        let handle = &*self.0.handle;
        let token = FencingToken::new(protocol::enter(handle.cell(), threads::number()));
        let told = protocol::claim(handle.cell(), handle.me, handle.counts());
        let outcome = handle.outcome(told.as_ref());
        Acquired { guard: WriteGuard { writing: self.0.writing(token), told, _in_this_thread: PhantomData }, outcome }
    }
}

/// Somebody who waits for a [`RwLock`] without blocking; each task or key has one of its own.
///
/// It waits for one thing at a time, for what it was last asked. What is said of the guard of a [`MutexWaiter`](super::MutexWaiter) holds here as
/// well. A writer that waits like this keeps no readers out: while there are always some, it waits until its deadline. Use [`RwLock::write`] in a
/// thread of its own where that matters.
#[derive(Debug)]
pub struct RwLockWaiter<'a, T> {
    lock: &'a RwLock<T>,
    armer: Armer,
}

impl<'a, T: ShmSafe> RwLockWaiter<'a, T> {
    /// The lock for reading, or the task of `cx` is woken when it is worth another look: a writer left or died, or for no reason.
    /// See [`Receiver::poll_receive`](crate::Receiver::poll_receive).
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn poll_read(&mut self, cx: &Context<'_>) -> Poll<Result<Acquired<ReadGuard<'a, T>>, LockError>> {
        self.read_with(|| Alarm::Task(cx.waker().clone()))
    }

    /// The lock for writing, or the task of `cx` is woken when it is worth another look: somebody left or died, or for no reason.
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn poll_write(&mut self, cx: &Context<'_>) -> Poll<Result<Acquired<WriteGuard<'a, T>>, LockError>> {
        self.write_with(|| Alarm::Task(cx.waker().clone()))
    }

    /// Arms for reading: `key` is rung in `notifier` once when it is worth another look. `Some` if the lock is taken now.
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn arm_read(&mut self, notifier: &Notifier, key: u64) -> Result<Option<Acquired<ReadGuard<'a, T>>>, LockError> {
        taken(self.read_with(|| Alarm::Key(notifier.clone(), key)))
    }

    /// Arms for writing: `key` is rung in `notifier` once when it is worth another look. `Some` if the lock is taken now.
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn arm_write(
        &mut self,
        notifier: &Notifier,
        key: u64,
    ) -> Result<Option<Acquired<WriteGuard<'a, T>>>, LockError> {
        taken(self.write_with(|| Alarm::Key(notifier.clone(), key)))
    }

    fn read_with(&mut self, alarm: impl FnOnce() -> Alarm) -> Poll<Result<Acquired<ReadGuard<'a, T>>, LockError>> {
        let lock = self.lock;
        let handle = &*lock.0.handle;
        match lock.try_read() {
            Err(LockError::Held { .. }) => {}
            outcome => return Poll::Ready(outcome),
        }
        let attempt = || protocol::try_read(handle.cell(), handle.mine(), handle).map_err(|_| InTheWay::Word);
        if handle.poll(&mut self.armer, alarm(), false, attempt)? {
            Poll::Ready(Ok(lock.reading()))
        } else {
            Poll::Pending
        }
    }

    fn write_with(&mut self, alarm: impl FnOnce() -> Alarm) -> Poll<Result<Acquired<WriteGuard<'a, T>>, LockError>> {
        let lock = self.lock;
        let handle = &*lock.0.handle;
        match lock.try_write() {
            Err(LockError::Held { .. }) => {}
            outcome => return Poll::Ready(outcome),
        }
        let attempt = || protocol::try_write(handle.cell(), handle.me, handle.counts(), handle);
        if handle.poll(&mut self.armer, alarm(), true, attempt)? {
            Poll::Ready(Ok(lock.writing()))
        } else {
            Poll::Pending
        }
    }
}

/// A [`RwLock`] taken for reading: the value stays as it is until this is dropped.
#[must_use = "dropping it gives the lock back"]
pub struct ReadGuard<'a, T: ShmSafe> {
    lock: &'a RwLock<T>,
    place: NonNull<T>,
    told: Option<Told>,
    /// Not `Send`, so that a thread which ends takes its guards along.
    _in_this_thread: PhantomData<*const ()>,
}

impl<T: ShmSafe> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the committed copy, which no writer touches while a reader is counted. It lives as long as the lock.
        unsafe { self.place.as_ref() }
    }
}

impl<T: ShmSafe> Drop for ReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let handle = &*self.lock.0.handle;
        if !handle.is_ours() {
            return;
        }
        if let Some(told) = &self.told {
            protocol::acknowledge(handle.cell(), told, handle.counts());
        }
        protocol::read_done(handle.cell(), handle.mine(), handle);
    }
}

impl<T: ShmSafe + fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadGuard").field("value", &**self).finish()
    }
}

/// A [`RwLock`] taken for writing. Dropping it gives the lock back and undoes what was not committed.
#[must_use = "dropping it gives the lock back"]
pub struct WriteGuard<'a, T: ShmSafe> {
    writing: Writing<'a, T>,
    told: Option<Told>,
    /// Not `Send`: the lock belongs to a thread.
    _in_this_thread: PhantomData<*const ()>,
}

impl<T: ShmSafe> WriteGuard<'_, T> {
    /// The number of this acquisition: greater than those of all writers before.
    pub fn token(&self) -> FencingToken {
        self.writing.token()
    }

    /// Makes the changes count and gives the lock back. Returns how many commits there were so far.
    #[inline]
    pub fn commit(mut self) -> u64 {
        self.writing.save()
    }

    /// Makes the changes count so far and keeps the lock. Returns how many commits there were so far.
    #[inline]
    pub fn save(&mut self) -> u64 {
        self.writing.save()
    }

    /// Undoes the changes since the last commit and keeps the lock.
    pub fn roll_back(&mut self) {
        self.writing.roll_back();
    }
}

impl<T: ShmSafe> Deref for WriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.writing
    }
}

impl<T: ShmSafe> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.writing
    }
}

impl<T: ShmSafe> Drop for WriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let handle = self.writing.handle();
        if !handle.is_ours() {
            return;
        }
        self.writing.roll_back();
        if let Some(told) = &self.told {
            protocol::acknowledge(handle.cell(), told, handle.counts());
        }
        protocol::leave(handle.cell());
        protocol::write_done(handle.cell(), handle);
    }
}

impl<T: ShmSafe + fmt::Debug> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteGuard").field("token", &self.token()).field("value", &**self).finish()
    }
}
