//! Ringing for everybody, where any participant may wait for an object.

use crate::{layout::ParticipantState, segment::Segment, wait::Bell};

/// Says to everyone in `segment` that the object of `bit` may be ready. One system call for each process that listens, none for the others.
#[cold]
pub(crate) fn ring_everyone(segment: &Segment, bit: u32) {
    for slot in 1..=segment.header().participants {
        if let Some(place) = segment.participant(slot)
            && place.state() == ParticipantState::Live
        {
            Bell::of(place).ring(bit);
        }
    }
}
