//! Taking part, leaving, and burying the dead.

use std::path::Path;

use crosstie_shm::{Kind, Life, Participant, ParticipantState, Segment, ShmSafe, Spec};

use super::super::{Fault, Seat, Structure, Tally, Victim};
use super::segment::{close, directory, name, open};

/// A segment with fewer slots than there are deaths, so that each is taken again and again.
#[derive(Clone, Copy, Debug)]
pub struct Membership;

fn spec() -> Spec {
    Spec::new(Kind::Region, u64::element()).participants(6).data(4096)
}

impl Structure for Membership {
    fn name(&self) -> &'static str {
        "membership"
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        Segment::create(&directory(place)?, &name(), &spec(), |_| Ok(()))
            .map(drop)
            .map_err(|error| format!("making the segment: {error}"))
    }

    fn join(&self, place: &Path, _seat: Seat) -> Result<Box<dyn Victim>, String> {
        let segment = open(place, &spec().expectation())?;
        let participant = join(&segment)?;
        Ok(Box::new(Worker { segment, participant: Some(participant) }))
    }

    fn check(&self, place: &Path, seat: Seat, _tally: &Tally) -> Result<(), String> {
        close(place, seat)
    }
}

fn join(segment: &Segment) -> Result<Participant, String> {
    Participant::join(segment, "trial").map_err(|error| format!("joining: {error}"))
}

struct Worker {
    segment: Segment,
    participant: Option<Participant>,
}

impl Victim for Worker {
    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        let participant = match self.participant.take() {
            Some(participant) if chance.bool() => participant,
            left => {
                drop(left);
                join(&self.segment)?
            }
        };
        let slot = participant.slot();
        if slot.state() != ParticipantState::Live
            || slot.pid.load(std::sync::atomic::Ordering::Relaxed) != std::process::id()
        {
            seat.fault(
                Fault::GrantedTwice,
                &format!("seat {} lives, and slot {} is not its any more", seat.index, participant.id().slot),
            );
        }
        participant.reap_dead().map_err(|error| format!("reaping the dead: {error}"))?;
        if participant.life(participant.id()).map_err(|error| format!("asking: {error}"))? != Life::Alive {
            seat.fault(Fault::GrantedTwice, "a living participant counts as dead");
        }
        self.participant = Some(participant);
        Ok(())
    }
}
