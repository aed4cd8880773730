//! A value that one process at a time may change, whole whoever dies.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    task::{Context, Poll},
};

use crosstie_core::{Deadline, FencingToken};

use super::{
    acquired::{Acquired, LockOutcome},
    error::LockError,
    handle::LockHandle,
    plan::{LockKind, Parts, Plan},
    protocol,
    value::{Guarded, Value, Writing},
};
use crate::{
    error::Result,
    header::Kind,
    layout::LockCell,
    name::SegmentName,
    notifier::{Alarm, Armer, Notifier},
    participant::{Participant, program_name},
    schema::ShmSafe,
    segment::{Directory, Segment, Spec},
};

/// A value that one process at a time may change.
///
/// Who gets the lock works on a copy and *commits* it; without a commit nothing has happened, whether the guard is dropped, the thread
/// panics or the process is killed. A lock whose holder died is free a few milliseconds later, and the next one who gets it is told.
///
/// ```
/// # use crosstie_shm::{Directory, Mutex, deadline_after};
/// # use std::time::Duration;
/// # let folder = tempfile::tempdir()?;
/// # let directory = Directory::at(folder.path().join("segments"))?;
/// // Any number of processes do this.
/// let counter = Mutex::open_or_create(&directory, &"counter".parse()?, 0_u64)?;
///
/// let mut guard = counter.lock(deadline_after(Duration::from_secs(1)))?.into_guard();
/// *guard += 1;
/// guard.commit();
/// # assert_eq!(*counter.try_lock()?.guard, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What ends how
///
/// | the holder | the lock |
/// | --- | --- |
/// | is killed, exits, runs another program (`exec`) | is free at once; what was not committed is undone; the next one is told |
/// | is stopped (`SIGSTOP`) | stays held: a stopped process lives. The others' deadlines pass |
/// | forks | stays the parent's. The child's guard does nothing, and its handle says [`Error::Forked`](crate::Error::Forked) |
/// | ends a thread that forgot its guard | is free when the thread has ended; the next one is told |
/// | drops the mutex | a guard borrows it, so it cannot. If it forgot the guard, the lock is free when the participant leaves |
///
/// # Fairness
///
/// There is none: who comes at the right moment overtakes who sleeps. No system call is made unless somebody has to wait.
#[derive(Debug)]
pub struct Mutex<T>(Guarded<T>);

impl<T: ShmSafe> Mutex<T> {
    const PLAN: Plan = Plan { kind: LockKind::Mutex, permits: 0, data: Value::<T>::BYTES, journal: 0 };

    /// A new mutex of that name.
    ///
    /// # Errors
    ///
    /// As [`Participant::create`].
    pub fn create(directory: &Directory, name: &SegmentName, initial: T) -> Result<Self> {
        let fill = |segment: &Segment| Self::fill(segment, name.as_str(), initial);
        Self::of(&Participant::create(directory, name, &Self::spec(Kind::Locks), fill, &program_name())?)
    }

    /// The mutex of that name.
    ///
    /// # Errors
    ///
    /// As [`Participant::open`].
    pub fn open(directory: &Directory, name: &SegmentName) -> Result<Self> {
        Self::of(&Participant::open(directory, name, &Self::spec(Kind::Locks).expectation(), &program_name())?)
    }

    /// The mutex of that name, made if there is none. `initial` counts only then.
    ///
    /// # Errors
    ///
    /// As [`Participant::enter`].
    pub fn open_or_create(directory: &Directory, name: &SegmentName, initial: T) -> Result<Self> {
        let spec = Self::spec(Kind::Locks);
        let fill = |segment: &Segment| Self::fill(segment, name.as_str(), initial);
        Self::of(&Participant::enter(directory, name, &spec.expectation(), &spec, fill, &program_name())?)
    }

    /// A new mutex without a name, to be [sent](Segment::send) to others, who take part by [`Mutex::of`].
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`] and [`Participant::join`].
    pub fn anonymous(initial: T) -> Result<Self> {
        let segment = Segment::anonymous("", &Self::spec(Kind::Locks), |segment| Self::fill(segment, "", initial))?;
        Self::of(&Participant::join(&segment, &program_name())?)
    }

    /// As [`Mutex::open_or_create`], with the name under which this process takes part; else that is the program's.
    ///
    /// # Errors
    ///
    /// As [`Participant::enter`].
    pub fn enter(directory: &Directory, name: &SegmentName, initial: T, participant: &str) -> Result<Self> {
        let spec = Self::spec(Kind::Locks);
        let fill = |segment: &Segment| Self::fill(segment, name.as_str(), initial);
        Self::of(&Participant::enter(directory, name, &spec.expectation(), &spec, fill, participant)?)
    }

    /// The mutex in the segment of `participant`.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`](crate::Error::Spec) if it has none; [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn of(participant: &Participant) -> Result<Self> {
        let handle = LockHandle::open(participant, 0, LockKind::Mutex)?;
        let value = Value::of(participant.segment(), &handle.parts)?;
        Ok(Self(Guarded::new(handle, value)))
    }

    pub(super) fn spec(kind: Kind) -> Spec {
        let spec = Spec::new(kind, T::element()).locks(1);
        let participants = spec.participants_planned();
        spec.data(Self::PLAN.bytes(participants))
    }

    pub(super) fn fill(segment: &Segment, name: &str, initial: T) -> Result<()> {
        Self::PLAN.lay_out(segment, 0, name)?;
        Value::fill(&Parts::of(segment, 0)?, initial);
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
    /// Until the lock is free or the deadline passes. Without contention there is no system call.
    #[inline(always)]
    pub fn lock(&self, deadline: Deadline) -> Result<Acquired<MutexGuard<'_, T>>, LockError> {
        match self.0.handle.take_at_once() {
            Some(token) => Ok(self.guard(token)),
            None => self.lock_slowly(Some(deadline)),
        }
    }

    /// Takes the lock if nobody has it who lives.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`], [`LockError::Segment`].
    #[inline(always)]
    pub fn try_lock(&self) -> Result<Acquired<MutexGuard<'_, T>>, LockError> {
        match self.0.handle.take_at_once() {
            Some(token) => Ok(self.guard(token)),
            None => self.lock_slowly(None),
        }
    }

    /// Somebody who waits for the lock without blocking.
    pub const fn waiting(&self) -> MutexWaiter<'_, T> {
        MutexWaiter { mutex: self, armer: Armer::new() }
    }

    /// Runs `change` on the value and commits what it did, if it says `Ok`.
    ///
    /// # Errors
    ///
    /// What `change` says; of its own those of [`Mutex::lock`].
    pub fn update<R, E: From<LockError>>(
        &self,
        deadline: Deadline,
        change: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut guard = self.lock(deadline)?.into_guard();
        let result = change(&mut guard)?;
        guard.commit();
        Ok(result)
    }

    /// The committed value, without the lock and whoever holds it.
    ///
    /// Tries a few times to find it at rest and takes the lock after that, so a reader among busy writers waits no longer than a writer.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`], if it came to that.
    pub fn snapshot(&self, deadline: Deadline) -> Result<T, LockError> {
        Ok(self.snapshot_with_version(deadline)?.0)
    }

    /// The committed value as [`Mutex::snapshot`] finds it, and how many commits there were before it.
    ///
    /// # Errors
    ///
    /// As [`Mutex::snapshot`].
    pub fn snapshot_with_version(&self, deadline: Deadline) -> Result<(T, u64), LockError> {
        self.participant().check()?;
        let cell = self.0.handle.cell();
        for _ in 0..SNAPSHOT_TRIES {
            if let Some(found) = self.0.value.snapshot(cell) {
                return Ok(found);
            }
            crate::sync::spin_loop();
        }
        let guard = self.lock(deadline)?.into_guard();
        Ok((*guard, cell.version.load(crate::sync::Ordering::Relaxed)))
    }

    /// This process's place in the segment.
    pub fn participant(&self) -> &Participant {
        &self.0.handle.participant
    }

    #[inline(always)]
    fn guard(&self, token: FencingToken) -> Acquired<MutexGuard<'_, T>> {
        let guard = MutexGuard { writing: self.0.writing(token), _in_this_thread: PhantomData };
        if protocol::has_untold(self.0.handle.cell()) {
            return told(guard);
        }
        Acquired { guard, outcome: LockOutcome::Clean }
    }

    #[cold]
    #[inline(never)]
    fn lock_slowly(&self, deadline: Option<Deadline>) -> Result<Acquired<MutexGuard<'_, T>>, LockError> {
        let token = self.0.handle.take_slowly(deadline)?;
        Ok(self.guard(token))
    }
}

/// Strikes out what the guard was told when it came. Nothing was added since: see [`protocol::untold`].
#[cold]
#[inline(never)]
fn strike_out(cell: &LockCell) {
    if let Some(told) = protocol::untold(cell) {
        protocol::acknowledge(cell, &told, &[]);
    }
}

/// A guard that must be told of deaths.
#[cold]
#[inline(never)]
fn told<T: ShmSafe>(guard: MutexGuard<'_, T>) -> Acquired<MutexGuard<'_, T>> {
    let handle = guard.handle();
    let outcome = handle.outcome(protocol::untold(handle.cell()).as_ref());
    Acquired { guard, outcome }
}

/// Somebody who waits for a [`Mutex`] without blocking; each task or key has one of its own.
///
/// The guard belongs to the thread that polled, and whoever else waits is kept waiting for as long as it lives: do not hold it over an `await`.
/// A poll never waits for the lock of the calling thread either; it is told that the lock is held.
#[derive(Debug)]
pub struct MutexWaiter<'a, T> {
    mutex: &'a Mutex<T>,
    armer: Armer,
}

impl<'a, T: ShmSafe> MutexWaiter<'a, T> {
    /// The lock, or the task of `cx` is woken when it is worth another look: it was given back, its holder died, or for no reason. Who came first
    /// is not served first. See [`Receiver::poll_receive`](crate::Receiver::poll_receive).
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn poll_lock(&mut self, cx: &Context<'_>) -> Poll<Result<Acquired<MutexGuard<'a, T>>, LockError>> {
        self.poll_with(|| Alarm::Task(cx.waker().clone()))
    }

    /// Arms: `key` is rung in `notifier` once when it is worth another look. `Some` if the lock is taken now.
    ///
    /// # Errors
    ///
    /// [`LockError::Segment`].
    pub fn arm(&mut self, notifier: &Notifier, key: u64) -> Result<Option<Acquired<MutexGuard<'a, T>>>, LockError> {
        taken(self.poll_with(|| Alarm::Key(notifier.clone(), key)))
    }

    fn poll_with(&mut self, alarm: impl FnOnce() -> Alarm) -> Poll<Result<Acquired<MutexGuard<'a, T>>, LockError>> {
        match self.mutex.try_lock() {
            Err(LockError::Held { .. }) => {}
            outcome => return Poll::Ready(outcome),
        }
        let handle = &*self.mutex.0.handle;
        if handle.poll_word(&mut self.armer, alarm())? {
            Poll::Ready(Ok(self.mutex.guard(handle.entered())))
        } else {
            Poll::Pending
        }
    }
}

/// How often a snapshot is tried before the lock is taken for it. Each failure means that two writers committed meanwhile.
pub(super) const SNAPSHOT_TRIES: u32 = 8;

/// The lock of a [`Mutex`], and its value. Dropping it gives the lock back and undoes what was not committed.
#[must_use = "dropping it gives the lock back"]
pub struct MutexGuard<'a, T: ShmSafe> {
    writing: Writing<'a, T>,
    /// Not `Send`: the lock belongs to a thread.
    _in_this_thread: PhantomData<*const ()>,
}

impl<T: ShmSafe> MutexGuard<'_, T> {
    /// The number of this acquisition: greater than those of all before.
    pub fn token(&self) -> FencingToken {
        self.writing.token()
    }

    /// Notes for people that the lock is held since now, unless somebody who waits for it has noted that before. Who takes a free lock does
    /// not look at the clock, which would cost more than the lock; who is to hold it for long may.
    pub fn note_since(&self) {
        let handle = self.handle();
        if handle.is_ours() {
            protocol::note_since(handle.cell(), || crate::clock::wall().unix_nanos());
        }
    }

    /// Makes the changes count and gives the lock back. Returns how many commits there were so far.
    #[inline(always)]
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

    #[inline(always)]
    pub(super) fn handle(&self) -> &LockHandle {
        self.writing.handle()
    }
}

impl<T: ShmSafe> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.writing
    }
}

impl<T: ShmSafe> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.writing
    }
}

impl<T: ShmSafe> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.handle().is_ours() {
            return;
        }
        self.writing.roll_back();
        let cell = self.handle().cell();
        if protocol::has_untold(cell) {
            strike_out(cell);
        }
        protocol::leave(cell);
        protocol::release(cell, self.handle());
    }
}

impl<T: ShmSafe + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutexGuard").field("token", &self.token()).field("value", &**self).finish()
    }
}

/// What a poll with a key comes to: nothing if it armed.
pub(super) fn taken<G>(polled: Poll<Result<G, LockError>>) -> Result<Option<G>, LockError> {
    match polled {
        Poll::Pending => Ok(None),
        Poll::Ready(outcome) => outcome.map(Some),
    }
}
