//! Putting in order what the dead left, and asking who is dead.

use super::witness::Witness;
use crate::{
    death::Death,
    error::{Error, Result},
    events::{self, Act},
    layout::{ParticipantId, ParticipantSlot, ParticipantState},
    recoverers,
    segment::Segment,
    sync::Ordering,
};

/// Whether a participant lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its process has the lock of its slot. It may be stopped, it may be slow, but it lives.
    Alive,
    /// Its process ended, and nobody has put its things in order yet.
    Dead,
    /// It left, or it died and its things are in order.
    Gone,
}

/// Who may look after a segment without taking part in it: tools, mostly. It asks who lives, and reaps the dead.
#[derive(Debug)]
pub struct Keeper {
    segment: Segment,
    witness: Witness,
}

impl Keeper {
    /// A keeper of `segment`. If that was opened to look at, it only answers.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn of(segment: &Segment) -> Result<Self> {
        Ok(Self { segment: segment.clone(), witness: Witness::of(segment)? })
    }

    /// The segment.
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Whether whoever is in `slot` lives.
    ///
    /// # Errors
    ///
    /// The operating system's; [`Forked`](crate::Error::Forked).
    pub fn life(&self, slot: u32) -> Result<Life> {
        let Some(place) = self.segment.participant(slot) else { return Ok(Life::Gone) };
        life(&self.segment, &self.witness, slot, place)
    }

    /// Reaps everyone who is dead; says who.
    ///
    /// # Errors
    ///
    /// As [`Participant::reap_dead`](crate::Participant::reap_dead).
    pub fn reap_dead(&self) -> Result<Vec<ParticipantId>> {
        if !self.segment.is_writable() {
            return Err(Error::Spec { what: "a segment opened for writing, came one to look at".to_owned() });
        }
        reap_dead(&self.segment, &self.witness, 0)
    }

    /// Runs `act` while nobody can be in any slot; `None` if somebody lives.
    pub(crate) fn if_deserted<R>(&self, act: impl FnOnce() -> Result<R>) -> Result<Option<R>> {
        let slots = 1..=self.segment.header().participants;
        let mut taken = Vec::new();
        let mut outcome = Ok(true);
        for slot in slots {
            match self.witness.take(&self.segment, slot) {
                Ok(true) => taken.push(slot),
                other => {
                    outcome = other;
                    break;
                }
            }
        }
        let result = match outcome {
            Ok(true) => act().map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        for slot in taken {
            self.witness.give_back(&self.segment, slot)?;
        }
        result
    }
}

/// Whether whoever is in `slot` lives. Its own slot is for the participant itself to answer.
pub(super) fn life(segment: &Segment, witness: &Witness, slot: u32, place: &ParticipantSlot) -> Result<Life> {
    if place.state() == ParticipantState::Free {
        return Ok(Life::Gone);
    }
    if witness.is_taken(segment, slot)? {
        return Ok(Life::Alive);
    }
    // The state may have changed while we asked: who left stores it before the lock goes.
    Ok(if place.state() == ParticipantState::Free { Life::Gone } else { Life::Dead })
}

/// Reaps everyone who is dead.
pub(super) fn reap_dead(segment: &Segment, witness: &Witness, by: u32) -> Result<Vec<ParticipantId>> {
    let mut reaped = Vec::new();
    for slot in 1..=segment.header().participants {
        if slot != by {
            reaped.extend(reap(segment, witness, slot, by)?);
        }
    }
    Ok(reaped)
}

/// Reaps whoever is in `slot` if it is dead; says who that was. `None` if it lives, is gone, or somebody else is at it.
pub(super) fn reap(segment: &Segment, witness: &Witness, slot: u32, by: u32) -> Result<Option<ParticipantId>> {
    let Some(place) = segment.participant(slot) else { return Ok(None) };
    // Spares the system call for the slots that nobody is in, which are most.
    if place.state() == ParticipantState::Free {
        return Ok(None);
    }
    let outcome = witness.with(segment, slot, || bury(segment, slot, place, by))?;
    Ok(outcome.flatten())
}

/// Recovers what the last one in `slot` held, if it is not free. The caller has the lock of its byte.
pub(super) fn bury(segment: &Segment, slot: u32, place: &ParticipantSlot, by: u32) -> Result<Option<ParticipantId>> {
    if place.state() == ParticipantState::Free {
        return Ok(None);
    }
    let gone = ParticipantId { slot, generation: place.generation.load(Ordering::Relaxed) };
    if by != 0 && by != slot {
        events::record(segment, by, Act::ReapBegan, 0, [u64::from(slot), u64::from(gone.generation)]);
    }
    place.reaper.store(by, Ordering::Relaxed);
    // Release pairs with the Acquire of who looks at the state: it sees who reaps.
    place.state.store(ParticipantState::Reaping.number(), Ordering::Release);
    crosstie_sys::crash_point!("participant.reap.begun");
    recoverers::run(&Death { segment, gone, by })?;
    crosstie_sys::crash_point!("participant.reap.recovered");
    // Release pairs with the Acquire of the next who joins: it sees everything in order.
    place.state.store(ParticipantState::Free.number(), Ordering::Release);
    segment.announce();
    if by != 0 && by != slot {
        events::record(segment, by, Act::Reaped, 0, [u64::from(slot), u64::from(gone.generation)]);
    }
    Ok(Some(gone))
}
