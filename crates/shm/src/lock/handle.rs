//! A lock of a segment, as this process sees it.

use std::sync::{Arc, Weak};

use crosstie_core::{Deadline, FencingToken};
use crosstie_sys::Incarnation;

use super::{
    acquired::{LockOutcome, Recovery},
    error::LockError,
    plan::{LockKind, Parts, expect_kind},
    protocol::{self, Bells, Holder, InTheWay, Told, Wait, holder_of},
    threads,
    waiting::{Waiting, object},
};
use crate::{
    error::{Error, Result},
    events::Act,
    layout::{LockCell, ParticipantId},
    notifier::{Alarm, Armer, ring_everyone},
    participant::Participant,
    ring::hold,
    segment::{READY, Segment},
    sync::{AtomicU32, AtomicU64, Ordering::Relaxed},
    wait::bit_of,
};

/// That the lock was got after a wait.
#[derive(Clone, Copy, Debug)]
#[must_use = "it is to be noted"]
pub(super) struct Waited {
    was_listed: bool,
}

/// One lock and this process's part in it.
#[derive(Debug)]
pub(super) struct LockHandle {
    pub(super) participant: Participant,
    pub(super) index: u32,
    pub(super) parts: Parts,
    pub(super) me: Holder,
    pub(super) spins: u32,
    /// When somebody of this process looked last whether those are alive who have something.
    pub(super) looked: AtomicU64,
    /// The segment's state, kept by `participant`.
    state: &'static AtomicU32,
    incarnation: Incarnation,
}

impl LockHandle {
    /// Lock `index` of the participant's segment, which must be of `kind`.
    pub(super) fn open(participant: &Participant, index: u32, kind: LockKind) -> Result<Arc<Self>> {
        let segment = participant.segment();
        let parts = Parts::of(segment, index)?;
        expect_kind(segment, &parts, kind)?;
        let id = participant.id();
        let handle = Arc::new(Self {
            participant: participant.clone(),
            index,
            parts,
            me: Holder::new(id.slot, id.generation),
            spins: spins(),
            looked: AtomicU64::new(0),
            // SAFETY: the participant beside it has a handle of the segment, and it is not given out.
            state: unsafe { hold(segment.state_word()) },
            incarnation: Incarnation::current().map_err(Error::system("telling this process from its children"))?,
        });
        let left: Weak<dyn threads::LeftBehind> = Arc::<Self>::downgrade(&handle);
        threads::remember(left);
        Ok(handle)
    }

    #[inline]
    pub(super) fn cell(&self) -> &LockCell {
        &self.parts.cell
    }

    #[inline]
    pub(super) fn counts(&self) -> &[AtomicU64] {
        self.parts.counts()
    }

    /// This participant's own count.
    #[inline]
    pub(super) fn mine(&self) -> &AtomicU64 {
        &self.counts()[self.me.slot() as usize - 1]
    }

    pub(super) fn segment(&self) -> &Segment {
        self.participant.segment()
    }

    /// False in a child that was forked: what it inherited belongs to the parent.
    #[inline(always)]
    pub(super) fn is_ours(&self) -> bool {
        self.incarnation.is_current()
    }

    /// True if [`Participant::check`] finds nothing.
    #[inline(always)]
    fn is_usable(&self) -> bool {
        self.is_ours() && self.state.load(Relaxed) == READY
    }

    /// Takes the word if that is all that there is to do. Inlined with all that it calls.
    #[inline(always)]
    pub(super) fn take_at_once(&self) -> Option<FencingToken> {
        let is_taken = self.is_usable() && protocol::try_take(self.cell(), self.me).is_ok();
        is_taken.then(|| self.entered())
    }

    /// What the thread does first that has taken the word.
    #[inline(always)]
    pub(super) fn entered(&self) -> FencingToken {
        FencingToken::new(protocol::enter(self.cell(), threads::number()))
    }

    /// Takes the word, waiting until `deadline`; `None` does not wait at all.
    #[inline]
    pub(super) fn take(&self, deadline: Option<Deadline>) -> Result<FencingToken, LockError> {
        self.take_at_once().map_or_else(|| self.take_slowly(deadline), Ok)
    }

    /// As [`LockHandle::take`], where it could not be taken at once.
    #[cold]
    #[inline(never)]
    pub(super) fn take_slowly(&self, deadline: Option<Deadline>) -> Result<FencingToken, LockError> {
        self.participant.check()?;
        match deadline {
            None => self.take_if_dead()?,
            Some(deadline) => {
                self.refuse_waiting_for_oneself()?;
                let waited = self.wait(deadline, |wait| protocol::take(self.cell(), self.me, wait))?;
                let token = self.entered();
                self.note(waited, token.number());
                return Ok(token);
            }
        }
        Ok(self.entered())
    }

    /// Somebody who is dead is no reason not to get it, even for one who does not wait.
    #[cold]
    fn take_if_dead(&self) -> Result<(), LockError> {
        let holder = holder_of(self.cell().word.load(Relaxed));
        if let Some(holder) = holder
            && self.participant.reap(holder.slot())?.is_none()
        {
            return Err(LockError::Held { by: Some(self.named(holder)) });
        }
        // Just freed.
        protocol::try_take(self.cell(), self.me)
            .map_err(|word| LockError::Held { by: holder_of(word).map(|holder| self.named(holder)) })
    }

    /// Runs `attempt`, which does not wait, and once more if somebody dead was in the way.
    pub(super) fn attempt(&self, mut attempt: impl FnMut() -> bool) -> Result<(), LockError> {
        self.participant.check()?;
        if attempt() || (!self.participant.reap_dead()?.is_empty() && attempt()) {
            return Ok(());
        }
        let by = holder_of(self.cell().word.load(Relaxed)).map(|holder| self.named(holder));
        Err(LockError::Held { by })
    }

    /// Refuses if so many readers of this process are in that the next ones might not be counted. Half of what the count holds: all threads of the
    /// process may come between this look and their counting.
    #[inline]
    pub(super) fn check_room_for_a_reader(&self) -> Result<(), LockError> {
        let readers = self.mine().load(Relaxed) & protocol::COUNT;
        if readers <= protocol::COUNT / 2 {
            return Ok(());
        }
        Err(LockError::TooManyReaders { readers: u32::try_from(protocol::COUNT / 2).expect("twenty bits") })
    }

    /// Refuses if the calling thread has the word.
    pub(super) fn refuse_waiting_for_oneself(&self) -> Result<(), LockError> {
        let cell = self.cell();
        // Relaxed: if it is so, this thread itself stored both; if not, both cannot be so.
        let is_mine = holder_of(cell.word.load(Relaxed)) == Some(self.me);
        if is_mine && cell.thread.load(Relaxed) == threads::number() {
            return Err(LockError::HeldByThisThread);
        }
        Ok(())
    }

    /// Runs a wait of the protocol, and says why it ended without the lock. Who got it [notes](Self::note) that.
    pub(super) fn wait(
        &self,
        deadline: Deadline,
        act: impl FnOnce(&mut Wait<'_, Waiting<'_>>) -> Result<(), protocol::TimedOut>,
    ) -> Result<Waited, LockError> {
        let waiting = Waiting::new(&self.participant, self.cell(), self.index, self.spins, &self.looked);
        let outcome = act(&mut Wait::new(&waiting, deadline));
        self.cell().waits.fetch_add(1, Relaxed);
        match outcome {
            Ok(()) => Ok(Waited { was_listed: waiting.was_listed() }),
            Err(protocol::TimedOut) => {
                self.participant.check()?;
                let by = holder_of(self.cell().word.load(Relaxed)).map(|holder| self.named(holder));
                self.participant.record(Act::TimedOut, object(self.index), [u64::from(self.index), 0]);
                Err(LockError::TimedOut { by })
            }
        }
    }

    /// Writes among this participant's acts that it got the lock, if that took so long that it wrote that it waited. `token` is the number of the
    /// acquisition; 0 if that has none.
    pub(super) fn note(&self, waited: Waited, token: u64) {
        if waited.was_listed {
            self.participant.record(Act::Locked, object(self.index), [u64::from(self.index), token]);
        }
    }

    /// Runs `attempt`, which does not wait. True if it got the lock; if not, `alarm` rings once when it is worth another look.
    ///
    /// `for_counts` says whether more than the word may be in the way.
    pub(super) fn poll(
        &self,
        armer: &mut Armer,
        alarm: Alarm,
        for_counts: bool,
        attempt: impl FnMut() -> Result<(), InTheWay>,
    ) -> Result<bool> {
        // Before anything else: in a child of fork, what was armed is the parent's.
        self.participant.check()?;
        armer.arm(&self.participant, bit_of(self.index), alarm)?;
        let is_taken = protocol::attempt_armed(self.cell(), for_counts, attempt).is_ok();
        if is_taken {
            armer.disarm();
        }
        Ok(is_taken)
    }

    /// What the guard must tell.
    #[inline(always)]
    pub(super) fn outcome(&self, told: Option<&Told>) -> LockOutcome {
        match told {
            None => LockOutcome::Clean,
            Some(told) => self.recovered(told),
        }
    }

    #[cold]
    #[inline(never)]
    fn recovered(&self, told: &Told) -> LockOutcome {
        let deaths = told.deaths;
        let dead = self.full_id(deaths.slot, deaths.generation);
        let detail = [u64::from(self.index), u64::from(dead.slot) << 32 | u64::from(dead.generation)];
        self.participant.record(Act::Recovered, object(self.index), detail);
        LockOutcome::Recovered(Recovery {
            dead,
            rolled_back: deaths.rolled_back,
            deaths: deaths.count,
            was_thread: deaths.was_thread,
        })
    }

    /// Who a word names.
    pub(super) fn named(&self, holder: Holder) -> ParticipantId {
        self.full_id(holder.slot(), holder.generation())
    }

    /// Lock words have 21 bits of the generation; the slot has all of them, unless it was taken anew since.
    fn full_id(&self, slot: u32, generation: u32) -> ParticipantId {
        const MASK: u32 = (1 << 21) - 1;
        let now = self.segment().participant(slot).map_or(0, |place| place.generation.load(Relaxed));
        let generation = if now & MASK == generation & MASK { now } else { generation };
        ParticipantId { slot, generation }
    }
}

impl LockHandle {
    /// As [`LockHandle::poll`], for the word alone.
    pub(super) fn poll_word(&self, armer: &mut Armer, alarm: Alarm) -> Result<bool> {
        self.poll(armer, alarm, false, || protocol::try_take(self.cell(), self.me).map_err(|_| InTheWay::Word))
    }
}

impl Bells for LockHandle {
    fn ring_all(&self) {
        ring_everyone(self.segment(), bit_of(self.index));
    }
}

impl threads::LeftBehind for LockHandle {
    fn abandon(&self, thread: u64) {
        let cell = self.cell();
        let is_mine = holder_of(cell.word.load(Relaxed)) == Some(self.me);
        if self.is_ours() && is_mine && cell.thread.load(Relaxed) == thread {
            cell.thread.store(0, Relaxed);
            protocol::recover_ended_thread(cell, self.me, self.parts.undo());
            protocol::ring(cell, self);
        }
    }
}

/// Looks at a word before sleeping. None where the holder has no processor of its own to go on with. That this process is bound to one says
/// nothing about the holder.
fn spins() -> u32 {
    if crosstie_sys::processors::online() > 1 { 32 } else { 0 }
}
