//! So many permits among processes, returned when their owner dies.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use crosstie_core::Deadline;

use super::{
    acquired::Acquired,
    error::LockError,
    handle::LockHandle,
    mutex::taken,
    plan::{LockKind, Plan},
    protocol::{self, COUNT, InTheWay, Told},
    waiting::is_time_to_look,
};
use crate::{
    error::{Error, Result},
    header::Kind,
    name::SegmentName,
    notifier::{Alarm, Armer, Notifier},
    participant::{Participant, program_name},
    schema::Element,
    segment::{Directory, Segment, Spec},
};

/// So many permits: that many may be out at a time, in all processes together.
///
/// Permits are counted for each process, so those of one that was killed return exactly, and the next acquisition is told. A permit that was
/// forgotten (`mem::forget`) returns when its process ends. Who asks for many may be overtaken by those who ask for few.
///
/// ```
/// # use crosstie_shm::{Directory, Semaphore, deadline_after};
/// # use std::time::Duration;
/// # let folder = tempfile::tempdir()?;
/// # let directory = Directory::at(folder.path().join("segments"))?;
/// let downloads = Semaphore::open_or_create(&directory, &"downloads".parse()?, 3)?;
/// let permit = downloads.acquire(deadline_after(Duration::from_secs(1)))?.into_guard();
/// assert_eq!(downloads.free(), 2);
/// drop(permit);
/// assert_eq!(downloads.free(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Semaphore {
    handle: Arc<LockHandle>,
}

impl Semaphore {
    /// The most permits that a semaphore has.
    #[expect(clippy::cast_possible_truncation, reason = "twenty bits")]
    pub const MAX: u32 = COUNT as u32;

    /// A new semaphore of that name.
    ///
    /// # Errors
    ///
    /// As [`Participant::create`].
    pub fn create(directory: &Directory, name: &SegmentName, permits: u32) -> Result<Self> {
        let fill = |segment: &Segment| Self::fill(segment, name.as_str(), permits);
        Self::of(&Participant::create(directory, name, &Self::spec(), fill, &program_name())?)
    }

    /// The semaphore of that name.
    ///
    /// # Errors
    ///
    /// As [`Participant::open`].
    pub fn open(directory: &Directory, name: &SegmentName) -> Result<Self> {
        Self::of(&Participant::open(directory, name, &Self::spec().expectation(), &program_name())?)
    }

    /// The semaphore of that name, made if there is none. `permits` counts only then.
    ///
    /// # Errors
    ///
    /// As [`Participant::enter`].
    pub fn open_or_create(directory: &Directory, name: &SegmentName, permits: u32) -> Result<Self> {
        let fill = |segment: &Segment| Self::fill(segment, name.as_str(), permits);
        let spec = Self::spec();
        Self::of(&Participant::enter(directory, name, &spec.expectation(), &spec, fill, &program_name())?)
    }

    /// The semaphore in the segment of `participant`.
    ///
    /// # Errors
    ///
    /// [`Error::Spec`] if it has none; [`Error::Corrupt`].
    pub fn of(participant: &Participant) -> Result<Self> {
        Ok(Self { handle: LockHandle::open(participant, 0, LockKind::Semaphore)? })
    }

    fn spec() -> Spec {
        let spec = Spec::new(Kind::Locks, Element::new(0, 1, "semaphore size=0 align=1\n")).locks(1);
        let participants = spec.participants_planned();
        spec.data(plan(0).bytes(participants))
    }

    fn fill(segment: &Segment, name: &str, permits: u32) -> Result<()> {
        if permits == 0 || permits > Self::MAX {
            return Err(Error::Spec { what: format!("1 to {} permits, came {permits}", Self::MAX) });
        }
        plan(permits).lay_out(segment, 0, name)
    }

    /// Takes one permit, waiting until `deadline` for one to be free.
    ///
    /// # Errors
    ///
    /// [`LockError::TimedOut`], [`LockError::Segment`].
    ///
    /// # Blocking
    ///
    /// While all are out.
    pub fn acquire(&self, deadline: Deadline) -> Result<Acquired<Permit<'_>>, LockError> {
        self.acquire_many(1, deadline)
    }

    /// Takes `permits` at once, waiting until `deadline` for so many to be free.
    ///
    /// # Errors
    ///
    /// [`LockError::TooMany`], and as [`Semaphore::acquire`]. None is held then.
    ///
    /// # Blocking
    ///
    /// While not so many are free.
    pub fn acquire_many(&self, permits: u32, deadline: Deadline) -> Result<Acquired<Permit<'_>>, LockError> {
        let handle = &*self.handle;
        self.check(permits)?;
        if self.attempt(permits).is_err() {
            let waited = handle
                .wait(deadline, |wait| protocol::acquire(handle.cell(), handle.me, handle.counts(), permits, wait))?;
            handle.note(waited, 0);
        } else {
            self.look_after_others();
        }
        Ok(self.permit(permits))
    }

    /// Takes one permit, if one is free or its owner is dead.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`], [`LockError::Segment`].
    pub fn try_acquire(&self) -> Result<Acquired<Permit<'_>>, LockError> {
        self.try_acquire_many(1)
    }

    /// Takes `permits` at once, if so many are free or their owners dead.
    ///
    /// # Errors
    ///
    /// [`LockError::TooMany`], [`LockError::Held`], [`LockError::Segment`].
    pub fn try_acquire_many(&self, permits: u32) -> Result<Acquired<Permit<'_>>, LockError> {
        let handle = &*self.handle;
        self.check(permits)?;
        handle.attempt(|| {
            for _ in 0..BUSY_TRIES {
                match self.attempt(permits) {
                    // Somebody is between taking the word and giving it back, which are a few instructions.
                    Err(InTheWay::Word) => crate::sync::yield_now(),
                    outcome => return outcome.is_ok(),
                }
            }
            false
        })?;
        self.look_after_others();
        Ok(self.permit(permits))
    }

    /// Somebody who waits for permits without blocking.
    pub const fn waiting(&self) -> PermitWaiter<'_> {
        PermitWaiter { semaphore: self, armer: Armer::new() }
    }

    /// Permits in all.
    pub fn permits(&self) -> u32 {
        self.handle.cell().permits.load(crate::sync::Ordering::Relaxed).min(Self::MAX)
    }

    /// Permits that are not out now. Another process may take them at any time.
    pub fn free(&self) -> u32 {
        u32::try_from(protocol::free(self.handle.cell(), self.handle.counts())).unwrap_or(u32::MAX)
    }

    /// This process's place in the segment.
    pub fn participant(&self) -> &Participant {
        &self.handle.participant
    }

    fn attempt(&self, permits: u32) -> Result<(), InTheWay> {
        let handle = &*self.handle;
        protocol::try_acquire(handle.cell(), handle.me, handle.counts(), permits, handle)
    }

    /// Looks now and then whether those live whose permits are out: as long as enough are left, nobody waits who would find out.
    fn look_after_others(&self) {
        let handle = &*self.handle;
        let mut others = (1..).zip(handle.counts()).filter(|(slot, count)| {
            *slot != handle.me.slot() && count.load(crate::sync::Ordering::Relaxed) & COUNT != 0
        });
        let Some(first) = others.next() else { return };
        if is_time_to_look(&handle.looked) {
            for (slot, _) in std::iter::once(first).chain(others) {
                // What goes wrong with reaping is seen by who reaps; it is no reason not to have a permit.
                let _ = handle.participant.reap(slot);
            }
        }
    }

    fn check(&self, asked: u32) -> Result<(), LockError> {
        self.handle.participant.check()?;
        let permits = self.permits();
        if asked > permits {
            return Err(LockError::TooMany { asked, permits });
        }
        Ok(())
    }

    fn permit(&self, permits: u32) -> Acquired<Permit<'_>> {
        let handle = &*self.handle;
        // For people: who takes two permits at a time took part once.
        handle.cell().token.fetch_add(1, crate::sync::Ordering::Relaxed);
        let told = protocol::claim(handle.cell(), handle.me, handle.counts());
        Acquired { outcome: handle.outcome(told.as_ref()), guard: Permit { semaphore: self, permits, told } }
    }
}

/// Somebody who waits for permits of a [`Semaphore`] without blocking; each task or key has one of its own.
#[derive(Debug)]
pub struct PermitWaiter<'a> {
    semaphore: &'a Semaphore,
    armer: Armer,
}

impl<'a> PermitWaiter<'a> {
    /// `permits` at once, or the task of `cx` is woken when it is worth another look: some were given back, their owner died, or for no reason. Who came
    /// first is not served first. See [`Receiver::poll_receive`](crate::Receiver::poll_receive).
    ///
    /// # Errors
    ///
    /// [`LockError::TooMany`], [`LockError::Segment`].
    pub fn poll_acquire(&mut self, permits: u32, cx: &Context<'_>) -> Poll<Result<Acquired<Permit<'a>>, LockError>> {
        self.poll_with(permits, || Alarm::Task(cx.waker().clone()))
    }

    /// Arms for any permits: `key` is rung in `notifier` once when it is worth another look. `Some` if `permits` are taken now.
    ///
    /// # Errors
    ///
    /// [`LockError::TooMany`], [`LockError::Segment`].
    pub fn arm(
        &mut self,
        permits: u32,
        notifier: &Notifier,
        key: u64,
    ) -> Result<Option<Acquired<Permit<'a>>>, LockError> {
        taken(self.poll_with(permits, || Alarm::Key(notifier.clone(), key)))
    }

    fn poll_with(
        &mut self,
        permits: u32,
        alarm: impl FnOnce() -> Alarm,
    ) -> Poll<Result<Acquired<Permit<'a>>, LockError>> {
        match self.semaphore.try_acquire_many(permits) {
            Err(LockError::Held { .. }) => {}
            outcome => return Poll::Ready(outcome),
        }
        if self.semaphore.handle.poll(&mut self.armer, alarm(), true, || self.semaphore.attempt(permits))? {
            Poll::Ready(Ok(self.semaphore.permit(permits)))
        } else {
            Poll::Pending
        }
    }
}

/// How often a semaphore is tried that somebody is just taking a permit of.
const BUSY_TRIES: u32 = 100;

const fn plan(permits: u32) -> Plan {
    Plan { kind: LockKind::Semaphore, permits, data: 0, journal: 0 }
}

/// Permits of a [`Semaphore`], given back when this is dropped.
#[must_use = "dropping it gives the permits back"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    permits: u32,
    told: Option<Told>,
}

impl Permit<'_> {
    /// How many.
    pub const fn permits(&self) -> u32 {
        self.permits
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let handle = &*self.semaphore.handle;
        if !handle.is_ours() {
            return;
        }
        if let Some(told) = &self.told {
            protocol::acknowledge(handle.cell(), told, handle.counts());
        }
        protocol::give_back(handle.cell(), handle.mine(), self.permits, handle);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("permits", &self.permits).finish_non_exhaustive()
    }
}
