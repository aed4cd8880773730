//! Joining a segment and leaving it.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use crosstie_sys::process;

use super::{
    reap::{self, Life},
    witness::Witness,
};
use crate::{
    clock,
    error::{Error, Result},
    events::{self, Act},
    layout::{ParticipantId, ParticipantSlot, ParticipantState, store_text},
    name::SegmentName,
    segment::{Directory, Expect, Segment, Spec},
    sync::Ordering,
};

/// This process's place in a segment. A cheap handle: the process leaves when the last clone is dropped, and the kernel says that it is
/// dead if it ends before.
///
/// # Fork
///
/// The child is not a participant: in it every act fails with [`Error::Forked`], and dropping the handle does nothing. Join anew there.
#[derive(Clone)]
pub struct Participant(Arc<Inner>);

struct Inner {
    segment: Segment,
    witness: Witness,
    id: ParticipantId,
}

impl Participant {
    /// Takes a free slot of `segment`; one whose process has died is reaped first. `name` is for people: at most 64 bytes of it are kept.
    ///
    /// # Errors
    ///
    /// [`Error::Full`]; [`Error::Retired`], [`Error::Removed`], [`Error::Poisoned`] if it should not be used any more; the operating system's.
    pub fn join(segment: &Segment, name: &str) -> Result<Self> {
        if !segment.is_writable() {
            return Err(Error::Spec { what: "a segment opened for writing, came one to look at".to_owned() });
        }
        let witness = Witness::of(segment)?;
        let deadline = clock::deadline_after(PATIENCE);
        let slot = loop {
            segment.check()?;
            let is_full = match take_any(segment, &witness)? {
                Taken::Slot(slot) => break slot,
                Taken::None { is_full } => is_full,
            };
            if is_full || deadline.expired(clock::now()) {
                let slots = segment.header().participants;
                return Err(Error::Full { segment: segment.label().to_owned(), slots });
            }
            // Somebody sweeps or reaps, which is over soon.
            std::thread::sleep(Duration::from_millis(1));
        };
        let place = segment.participant(slot).expect("it was taken because it is there");
        let id = fill_in(place, slot, name);
        crosstie_sys::crash_point!("participant.join.live");
        segment.announce();
        let joined = Self(Arc::new(Inner { segment: segment.clone(), witness, id }));
        joined.record(Act::Joined, 0, [u64::from(std::process::id()), u64::from(id.generation)]);
        // Who removes a segment takes all slots first and retires it then: either it saw us, or we see that.
        segment.check()?;
        Ok(joined)
    }

    /// Makes a segment and takes part in it from its first moment on: a segment in which nobody takes part may be removed at any time, and this
    /// one is joined before anybody else can see it.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`] and [`join`](Self::join) have them.
    pub fn create(
        directory: &Directory,
        name: &SegmentName,
        spec: &Spec,
        fill: impl FnOnce(&Segment) -> Result<()>,
        participant: &str,
    ) -> Result<Self> {
        let mut joined = None;
        Segment::create(directory, name, spec, |segment| {
            fill(segment)?;
            joined = Some(Self::join(segment, participant)?);
            Ok(())
        })?;
        Ok(joined.expect("whoever makes a segment fills it"))
    }

    /// Opens the segment of that name and joins it. One that is removed between the two counts as not found.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`] and [`join`](Self::join) have them.
    pub fn open(directory: &Directory, name: &SegmentName, expect: &Expect, participant: &str) -> Result<Self> {
        for _ in 0..TRIES {
            let segment = Segment::open(directory, name, expect)?;
            match Self::join(&segment, participant) {
                // The next look finds what has replaced it, or nothing.
                Err(Error::Removed { .. } | Error::Retired { .. }) => {}
                outcome => return outcome,
            }
        }
        Err(Error::NotFound { segment: name.to_string() })
    }

    /// Opens the segment of that name, or makes it, and joins it. Of several who try at once, one makes it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`open`](Self::open) have them.
    pub fn enter(
        directory: &Directory,
        name: &SegmentName,
        expect: &Expect,
        spec: &Spec,
        fill: impl Fn(&Segment) -> Result<()>,
        participant: &str,
    ) -> Result<Self> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::open(directory, name, expect, participant) {
                Err(Error::NotFound { .. }) => {}
                outcome => return outcome,
            }
            match Self::create(directory, name, spec, &fill, participant) {
                Err(error @ Error::AlreadyExists { .. }) => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.expect("every try but a successful one ended here"))
    }

    /// The segment.
    pub fn segment(&self) -> &Segment {
        &self.0.segment
    }

    /// Who it is in the segment.
    pub fn id(&self) -> ParticipantId {
        self.0.id
    }

    /// Its row in the participant table.
    pub fn slot(&self) -> &ParticipantSlot {
        self.0.slot()
    }

    /// Nothing, if this process is the one that joined and the segment is in use.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], and as [`Segment::check`].
    #[inline]
    pub fn check(&self) -> Result<()> {
        if !self.is_ours() {
            return Err(Error::Forked { segment: self.segment().label().to_owned() });
        }
        self.segment().check()
    }

    /// False in a child that was forked since: the handle belongs to the parent.
    #[inline]
    pub fn is_ours(&self) -> bool {
        self.0.witness.is_ours()
    }

    /// Whether a participant lives: this one, or one that was. One system call, unless it is plain from the slot.
    ///
    /// A process that has ended counts as alive until the kernel has let go of its lock, which it does before its parent is told.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], the operating system's.
    pub fn life(&self, of: ParticipantId) -> Result<Life> {
        if of == self.id() {
            return if self.is_ours() { Ok(Life::Alive) } else { Err(self.forked()) };
        }
        let Some(place) = self.segment().participant(of.slot) else { return Ok(Life::Gone) };
        if place.generation.load(Ordering::Acquire) != of.generation {
            return Ok(Life::Gone);
        }
        reap::life(self.segment(), &self.0.witness, of.slot, place)
    }

    /// Recovers everything that the participant in `slot` held, if it is dead; says who that was. `None` if it lives, if it is gone, or if
    /// somebody else is at it, who will change [`Segment::membership`] when done.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`]; [`Error::Corrupt`] if what it held cannot be; the operating system's.
    pub fn reap(&self, slot: u32) -> Result<Option<ParticipantId>> {
        if !self.is_ours() {
            return Err(self.forked());
        }
        if slot == self.id().slot {
            return Ok(None);
        }
        reap::reap(self.segment(), &self.0.witness, slot, self.id().slot)
    }

    /// [Reaps](Self::reap) everyone who is dead; says who.
    ///
    /// # Errors
    ///
    /// As [`reap`](Self::reap).
    pub fn reap_dead(&self) -> Result<Vec<ParticipantId>> {
        if !self.is_ours() {
            return Err(self.forked());
        }
        reap::reap_dead(self.segment(), &self.0.witness, self.id().slot)
    }

    /// Writes an act among the last 256 of this participant. Costs a reading of the clock and a few stores.
    pub fn record(&self, act: Act, object: u16, detail: [u64; 2]) {
        if self.is_ours() {
            events::record(self.segment(), self.id().slot, act, object, detail);
        }
    }

    /// A handle that does not keep this process in the segment.
    pub(crate) fn downgrade(&self) -> WeakParticipant {
        WeakParticipant(Arc::downgrade(&self.0))
    }

    fn forked(&self) -> Error {
        Error::Forked { segment: self.segment().label().to_owned() }
    }
}

/// What participants are called that were not named: the program.
pub(crate) fn program_name() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    std::path::Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A participant that may have left.
#[derive(Clone)]
pub(crate) struct WeakParticipant(Weak<Inner>);

impl WeakParticipant {
    /// The participant, if it has not left.
    pub(crate) fn upgrade(&self) -> Option<Participant> {
        self.0.upgrade().map(Participant)
    }

    /// True if it has left.
    pub(crate) fn has_left(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// True if both are of the same participant.
    pub(crate) fn is(&self, participant: &Participant) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&participant.0))
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant").field("id", &self.id()).field("segment", self.segment()).finish()
    }
}

impl Inner {
    fn slot(&self) -> &ParticipantSlot {
        self.segment.participant(self.id.slot).expect("it was there when we joined")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.witness.is_ours() {
            return;
        }
        let slot = self.id.slot;
        events::record(&self.segment, slot, Act::Left, 0, [0, 0]);
        // If its things cannot be put in order, the slot stays as it is, and the next who comes by tries again and tells it.
        let _ = reap::bury(&self.segment, slot, self.slot(), slot);
        // The lock goes with the description.
    }
}

/// How often a name is looked up again when it changes under our eyes. Each time means that somebody else got further.
const TRIES: u32 = 100;

/// How long who joins waits for somebody who has slots for a moment only.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came of an attempt to get a slot.
enum Taken {
    /// Its byte is locked, and it is free.
    Slot(u32),
    /// All are taken; full is it if by participants, and not by somebody who sweeps or reaps.
    None { is_full: bool },
}

/// Takes the first slot that it can; one whose process has died is reaped first.
fn take_any(segment: &Segment, witness: &Witness) -> Result<Taken> {
    let mut is_full = true;
    for slot in 1..=segment.header().participants {
        let place = segment.participant(slot).expect("slots are counted from 1 to this");
        if witness.take(segment, slot)? {
            // Who joins has no slot yet while it reaps its predecessor.
            reap::bury(segment, slot, place, 0)?;
            return Ok(Taken::Slot(slot));
        }
        is_full &= place.state() == ParticipantState::Live;
    }
    Ok(Taken::None { is_full })
}

/// Makes the slot this process's. The caller has the lock of its byte, and it is free.
fn fill_in(place: &ParticipantSlot, slot: u32, name: &str) -> ParticipantId {
    let this = process::identity();
    // Zero is left out: it is what an unused slot has.
    let generation = match place.generation.load(Ordering::Relaxed).wrapping_add(1) {
        0 => 1,
        other => other,
    };
    place.generation.store(generation, Ordering::Relaxed);
    place.pid.store(this.pid, Ordering::Relaxed);
    place.reaper.store(0, Ordering::Relaxed);
    place.namespace.store(this.namespace, Ordering::Relaxed);
    place.start.store(this.start, Ordering::Relaxed);
    place.joined.store(clock::wall().unix_nanos(), Ordering::Relaxed);
    place.waits_for.store(0, Ordering::Relaxed);
    place.bell.store(0, Ordering::Relaxed);
    store_text(&place.name, name);
    crosstie_sys::crash_point!("participant.join.filled");
    // Release pairs with the Acquire in `ParticipantSlot::state`: who sees it live sees who it is.
    place.state.store(ParticipantState::Live.number(), Ordering::Release);
    ParticipantId { slot, generation }
}
