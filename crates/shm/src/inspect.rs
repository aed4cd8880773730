//! What a segment shows of its participants and its value, as plain values for people and tools. None of it needs anyone's cooperation.

use crosstie_core::Wall;

use crate::{
    error::Result,
    header::Kind,
    latest::latest_value,
    layout::{ParticipantId, ParticipantState, load_text},
    lock::value_behind_lock,
    participant::{Keeper, Life},
    segment::Segment,
    sync::Ordering,
    value_seen::ValueSeen,
};

/// One row of the participant table, read at one moment. Its words are read one by one, so a participant that joins meanwhile may show
/// half of the old and half of the new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantInfo {
    /// Who it is.
    pub id: ParticipantId,
    /// What the slot says.
    pub state: ParticipantState,
    /// What the kernel says.
    pub life: Life,
    /// Its process id, in its own namespace.
    pub pid: u32,
    /// The inode of its PID namespace.
    pub namespace: u64,
    /// When its process started, in clock ticks since boot.
    pub start: u64,
    /// When it joined.
    pub joined: Wall,
    /// What it calls itself.
    pub name: String,
    /// The index of the lock that a thread of it waits for.
    pub waits_for: Option<u32>,
    /// Who reaps it.
    pub reaper: Option<u32>,
    /// Acts written in its slot so far, by it and those before it.
    pub acts: u64,
}

impl Keeper {
    /// Everyone who is in a slot, dead or alive.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn participants(&self) -> Result<Vec<ParticipantInfo>> {
        let all = self.all_slots()?;
        Ok(all.into_iter().filter(|info| info.state != ParticipantState::Free).collect())
    }

    /// Every slot that was ever taken. Of a free one, what is told is of the last who was in it.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn all_slots(&self) -> Result<Vec<ParticipantInfo>> {
        let segment = self.segment();
        let slots = 1..=segment.header().participants;
        let infos = slots.filter_map(|slot| info(segment, slot).map(|info| (slot, info)));
        infos.map(|(slot, info)| Ok(ParticipantInfo { life: self.life(slot)?, ..info })).collect()
    }
}

impl Segment {
    /// The value that it is for, whole, as anybody who may look at the segment can have it: nobody waits for it, and nobody is disturbed.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn value_seen(&self) -> Result<ValueSeen> {
        let header = self.header();
        let mut seen = match header.kind {
            Kind::Region | Kind::Locks | Kind::TxRegion => value_behind_lock(self)?,
            Kind::Latest => latest_value(self)?,
            _ => ValueSeen::Nothing,
        };
        if let ValueSeen::Whole { bytes, .. } = &mut seen {
            bytes.truncate(usize::try_from(header.element.size).unwrap_or(usize::MAX));
        }
        Ok(seen)
    }
}

fn info(segment: &Segment, slot: u32) -> Option<ParticipantInfo> {
    let place = segment.participant(slot)?;
    let generation = place.generation.load(Ordering::Acquire);
    if generation == 0 {
        return None;
    }
    let state = place.state();
    let reaper = place.reaper.load(Ordering::Relaxed);
    Some(ParticipantInfo {
        id: ParticipantId { slot, generation },
        state,
        life: Life::Gone,
        pid: place.pid.load(Ordering::Relaxed),
        namespace: place.namespace.load(Ordering::Relaxed),
        start: place.start.load(Ordering::Relaxed),
        joined: Wall::from_unix_nanos(place.joined.load(Ordering::Relaxed)),
        name: load_text(&place.name),
        waits_for: place.waits_for.load(Ordering::Relaxed).checked_sub(1),
        reaper: (state == ParticipantState::Reaping && reaper != 0).then_some(reaper),
        acts: place.events.load(Ordering::Relaxed),
    })
}
