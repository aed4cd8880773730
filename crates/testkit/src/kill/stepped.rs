//! A process that is gone through: where it begins to count, where it is to end, and how it came to its end.

use crosstie_sys::trial::{
    Child, Deed, Ended, Road, count_instructions, die_at_the_end, end_deeds, fork, interrupt_deeds, stop_counting,
};
use crosstie_sys::{CrashPlan, NEXT_POINT, Planned, plan_crash};

use super::board::Fault;
use super::course::Boundary;
use super::crew::Crew;

/// How far the one who is to recover is.
pub(super) mod stage {
    pub(in super::super) const NOT_READY: u64 = 0;
    pub(in super::super) const JOINED: u64 = 1;
    pub(in super::super) const READY: u64 = 2;
    pub(in super::super) const GO: u64 = 3;
}

/// What a child leaves with that came to the end of its work.
const DONE: u8 = 3;

/// Where a process begins to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Before it joins.
    Cold,
    /// Once it has joined and was told to go on.
    Joined,
    /// Once it has joined and done one step.
    Warm,
}

/// What a process is to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// Its death at this boundary.
    At(Boundary),
    /// The end of its work, with a record left behind of its instructions.
    ToSurvey,
    /// Its death just before this deed.
    Before(Deed),
    /// Its death when its work is done.
    AtTheEnd,
    /// The end of its work, with a record left behind of its deeds.
    ToRecord,
}

/// How a stepped process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// It was killed where it was to be.
    There,
    /// It came to the next crash point before.
    NextPoint,
    /// It came to the end of its work.
    Done,
    /// Something is wrong, and reported.
    Wrong,
}

impl Aim {
    /// How a process ends that comes to it.
    pub(super) const fn reached(self) -> Reached {
        match self {
            Self::At(_) | Self::Before(_) | Self::AtTheEnd => Reached::There,
            Self::ToSurvey | Self::ToRecord => Reached::Done,
        }
    }
}

/// A process that does one step, to be killed somewhere in it.
pub(super) fn start(crew: &Crew<'_>, index: usize, start: Start, aim: Aim, road: Road) -> Result<Child, String> {
    let (seat, board) = (crew.seat(index), crew.board());
    seat.sits_down();
    seat.becomes_stepped(start == Start::Warm);
    let (structure, place) = (crew.structure(), crew.place());
    road.clear();
    let count = || {
        let deeds = |road, last| interrupt_deeds(road, last, seat.alive());
        match aim {
            Aim::At(boundary) => count_instructions(road, seat.alive()).map(|()| {
                let (at_hit, planned) = (boundary.section, boundary.planned());
                plan_crash(CrashPlan { at_hit, planned, name_goes_to: seat.point_cells() });
            }),
            Aim::ToSurvey => count_instructions(road, seat.alive()).map(|()| {
                plan_crash(CrashPlan { at_hit: 0, planned: Planned::Survey, name_goes_to: seat.point_cells() });
            }),
            Aim::Before(deed) => deeds(Road::none(), Some(deed)),
            Aim::ToRecord => deeds(road, None),
            Aim::AtTheEnd => Ok(()),
        }
        .map_err(|error| format!("what it does cannot be counted: {error}"))
    };
    fork(|| {
        let mut chance = fastrand::Rng::with_seed(index as u64);
        let mut work = || {
            if start == Start::Cold {
                count()?;
            }
            let mut victim = structure.join(place, seat)?;
            match start {
                Start::Cold => {}
                Start::Warm => {
                    victim.step(seat, &mut chance)?;
                    count()?;
                }
                Start::Joined => {
                    board.set_stage(stage::JOINED);
                    victim.prepare()?;
                    board.set_stage(stage::READY);
                    while board.stage() != stage::GO {
                        std::thread::yield_now();
                    }
                    count()?;
                }
            }
            seat.begins();
            match start {
                Start::Warm => victim.step(seat, &mut chance)?,
                Start::Cold | Start::Joined => victim.succeed(seat, &mut chance)?,
            }
            seat.has_done();
            stop_counting();
            end_deeds();
            if aim == Aim::AtTheEnd {
                die_at_the_end(seat.alive());
            }
            Ok(())
        };
        let outcome: Result<(), String> = work();
        if let Err(why) = outcome {
            stop_counting();
            end_deeds();
            seat.fault(Fault::Broken, &format!("seat {index}, stepped: {why}"));
        }
        DONE
    })
    .map_err(|error| format!("no process to be stepped: {error}"))
}

/// Waits for the end that was planned.
pub(super) fn end(crew: &Crew<'_>, index: usize, mut child: Child, aim: Aim) -> Reached {
    let (seat, bound) = (crew.seat(index), crew.bound() * 2);
    let has_way = matches!(aim, Aim::At(boundary) if boundary.has_way());
    match crew.wait_fairly(&mut child, bound) {
        Ok(Some(Ended::Killed(9))) => return Reached::There,
        Ok(Some(Ended::Exited(NEXT_POINT))) => return Reached::NextPoint,
        Ok(Some(Ended::Exited(code))) if code == i32::from(DONE) => {
            return if crew.board().has_faults() { Reached::Wrong } else { Reached::Done };
        }
        // It came to the breakpoint where it may not be interrupted, and so not by this way.
        Ok(Some(Ended::Killed(5))) if has_way => return Reached::NextPoint,
        Ok(None) => seat.fault(Fault::Stuck, &format!("seat {index} had not come to its end in {bound:?}")),
        other => seat.fault(Fault::Broken, &format!("seat {index}, stepped: {other:?}")),
    }
    Reached::Wrong
}

/// Waits until the one who is to recover is as far.
pub(super) fn await_stage(crew: &Crew<'_>, index: usize, stage: u64) {
    let board = crew.board();
    if !crew.await_fairly(|| board.stage() >= stage || board.has_faults()) {
        crew.seat(index).fault(Fault::Stuck, "the one who is to recover could not join");
    }
}

/// Another process does one step, in its own time.
pub(super) fn look(crew: &mut Crew<'_>, index: usize) -> Result<(), String> {
    if crew.board().has_faults() {
        return Ok(());
    }
    let seat = crew.seat(index);
    seat.sits_down();
    seat.becomes_stepped(true);
    let (structure, place) = (crew.structure(), crew.place());
    let mut child = fork(|| {
        let mut chance = fastrand::Rng::with_seed(index as u64);
        if let Err(why) = structure.join(place, seat).and_then(|mut victim| victim.look(seat, &mut chance)) {
            seat.fault(Fault::Broken, &format!("seat {index}, looking at what was left: {why}"));
        }
        0
    })
    .map_err(|error| format!("no process to look: {error}"))?;
    crew.await_end(&mut child, seat, "looking at what was left");
    seat.gets_up();
    Ok(())
}
