//! Ends at every instruction boundary of one operation, and of the recovery from each.
//!
//! A child does one step of its work, counts its own instructions, and is killed behind the k-th; then another looks at what is left. What
//! the child does before, joining and one step to warm up, is not counted.
//!
//! The crash points cut the work into sections. A child runs at full speed to the point that begins one and counts from there, so that
//! all boundaries of a long work cost no more than those of its sections. The number of a boundary is its section and its place in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crosstie_sys::trial::{
    CAN_STEP, Child, Ended, Way, become_reaper_of_orphans, count_instructions, fork, pin_to_core, shared_cells,
    stop_counting, tick, unpin,
};
use crosstie_sys::{CrashPlan, NEXT_POINT, Planned, plan_crash};

use super::board::{Board, Fault};
use super::clock::now_ns;
use super::crew::{Crew, Post, await_until};
use super::report::Report;
use super::structure::{Options, Structure, Told};

/// What is stepped through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// The work of one process that is alone.
    Alone,
    /// The work of one process while another works on the same at full speed.
    Contended,
    /// The recovery of one process that has joined before another died, at so many chosen boundaries of the other's work.
    Recovery(u64),
    /// The same for one that joins afterwards: the joining too.
    Joining(u64),
}

/// How many ends one structure sees before its oracle is asked and another is set up.
const PER_TRIAL: u64 = 64;

/// How far the one who is to recover is.
mod stage {
    pub(super) const NOT_READY: u64 = 0;
    pub(super) const READY: u64 = 1;
    pub(super) const GO: u64 = 2;
}

/// What a child leaves with that came to the end of its work.
const DONE: u8 = 3;

/// The most boundaries of one section that are all tried; of a longer one so many are chosen.
const LONGEST: u64 = 1_500;
const CHOSEN: u64 = 25;

/// A place in the work: behind so many instructions of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Boundary {
    part: usize,
    section: u64,
    place: u64,
    /// How to come there fast, if that is known.
    way: Option<Way>,
}

impl Boundary {
    const PER_SECTION: u64 = 1_000_000;
    const PER_PART: u64 = 1_000 * Self::PER_SECTION;

    /// The end of a section, whatever comes behind it.
    fn end_of(part: usize, section: u64) -> Self {
        Self { part, section, place: u64::MAX, way: None }
    }

    fn number(self) -> u64 {
        self.part as u64 * Self::PER_PART + self.section * Self::PER_SECTION + self.place.min(Self::PER_SECTION - 1)
    }
}

/// Kills at every instruction boundary within `options.boundaries`, or until something is found wrong; `options.count` bounds the kills.
///
/// # Errors
///
/// What keeps the harness itself from working, in words. Where instructions cannot be counted the report is [`Report::not_run`].
pub fn steps(structure: &dyn Structure, options: &Options, nesting: Nesting) -> Result<Report, String> {
    let kind = match nesting {
        Nesting::Alone => "steps",
        Nesting::Contended => "contended",
        Nesting::Recovery(_) => "recovery",
        Nesting::Joining(_) => "joining",
    };
    let mut report = Report::of(kind, structure.name(), options.seed);
    if !CAN_STEP {
        return Ok(report.not_run("a process cannot count its own instructions on this processor"));
    }
    tick(Duration::from_millis(20)).map_err(|error| format!("no timer: {error}"))?;
    become_reaper_of_orphans().map_err(|error| format!("orphans cannot be taken in: {error}"))?;
    // All take turns, so one core is enough, and leaves the other to another run.
    let core = (nesting != Nesting::Contended).then(|| pin_to_core(usize::from(options.seed % 2 == 1)));
    let core = core.transpose().map_err(|error| format!("no core to stay on: {error}"))?;
    let board =
        Board::new(structure.seats().max(2 * structure.parts()) + 1).map_err(|error| format!("no board: {error}"))?;
    let road = shared_cells(LONGEST as usize).map_err(|error| format!("no place for addresses: {error}"))?;
    let begun = Instant::now();
    let mut walk = Walk { structure, options, board: &board, report: &mut report, crew: None, trials: 0, road };
    for part in 0..structure.parts() {
        match nesting {
            Nesting::Alone => walk.alone(part, false)?,
            Nesting::Contended => walk.alone(part, true)?,
            Nesting::Recovery(outer) => walk.nested(part, outer, false)?,
            Nesting::Joining(outer) => walk.nested(part, outer, true)?,
        }
    }
    walk.close();
    if let Some(core) = core {
        unpin(&core).map_err(|error| format!("the core cannot be left: {error}"))?;
    }
    report.elapsed = begun.elapsed();
    Ok(report)
}

struct Walk<'a> {
    structure: &'a dyn Structure,
    options: &'a Options,
    board: &'a Board,
    report: &'a mut Report,
    crew: Option<Crew<'a>>,
    trials: u64,
    /// Where a process was behind each of its instructions, in the last section that was gone to its end.
    road: &'static [AtomicU64],
}

/// How a stepped process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// It was killed where it was to be.
    There,
    /// It came to the next crash point before.
    NextPoint,
    /// It came to the end of its work before.
    Done,
    /// Something is wrong, and reported.
    Wrong,
}

impl Walk<'_> {
    /// A structure to work on: the last one, unless it has served enough.
    fn open(&mut self) -> Result<(), String> {
        if self.crew.is_some() && self.trials.is_multiple_of(PER_TRIAL) {
            self.close();
        }
        if self.crew.is_none() && self.report.faults.is_empty() {
            self.crew = Some(Crew::new(self.structure, self.board, self.options)?);
        }
        self.trials += 1;
        Ok(())
    }

    fn close(&mut self) {
        if let Some(crew) = self.crew.take() {
            crew.finish(self.report, self.trials.saturating_sub(1));
        }
    }

    /// The seat of the one who recovers: of the same part where there is only one, of the next part otherwise, as the living see it.
    fn other(&self, part: usize) -> usize {
        let parts = self.structure.parts();
        parts + (part + 1) % parts
    }

    /// One of each part does one step, in its own time.
    fn look(&mut self) -> Result<(), String> {
        let parts = self.structure.parts();
        let Some(crew) = &mut self.crew else { return Ok(()) };
        (parts..2 * parts).try_for_each(|seat| look(crew, seat))
    }

    fn alone(&mut self, part: usize, contended: bool) -> Result<(), String> {
        let other = self.other(part);
        for boundary in self.boundaries(part, None)? {
            // Who does not come by the way that the first one came goes step by step.
            for boundary in [boundary, Boundary { way: None, ..boundary }] {
                self.open()?;
                let Some(crew) = &mut self.crew else { return Ok(()) };
                if contended && !crew.is_manned(other) {
                    crew.man(other, boundary.number(), Post::Plain)?;
                }
                let told = self.board.told();
                let worker = start(crew, part, Start::Warm, boundary, self.road)?;
                let reached = end(crew, part, worker, boundary);
                self.report.boundaries.0 += u64::from(reached == Reached::There);
                let held = crew.bury(part, now_ns()).is_some();
                if contended {
                    crew.await_steps_of(other);
                } else if reached != Reached::Wrong {
                    self.look()?;
                    self.expect_telling(told, held);
                }
                if self.note(boundary) {
                    return Ok(());
                }
                if boundary.way.is_none() || reached == Reached::There {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The worker dies at some boundaries, the recoverer at every one that it passes then.
    fn nested(&mut self, part: usize, outer: u64, joins: bool) -> Result<(), String> {
        let all = self.boundaries(part, None)?;
        let mut chance = fastrand::Rng::with_seed(self.options.seed);
        for nth in 0..outer {
            // Spread evenly, each at a random place of its part.
            let length = all.len() as u64;
            let at = (nth * length + chance.u64(..length.max(1))) / outer.max(1);
            let Some(boundary) = usize::try_from(at).ok().and_then(|at| all.get(at)) else { break };
            for inner in self.boundaries(part, Some((*boundary, joins)))? {
                let (mut reached, _) = self.pair(*boundary, inner, joins)?;
                if inner.way.is_some() && reached != Reached::There && !self.board.has_faults() {
                    reached = self.pair(*boundary, Boundary { way: None, ..inner }, joins)?.0;
                }
                self.report.boundaries.1 += u64::from(reached == Reached::There);
                if self.note(inner) || !self.report.faults.is_empty() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// One dies at `boundary`, the one who recovers at `inner`, and others look. Says how far the recoverer came, and in how many instructions.
    fn pair(&mut self, boundary: Boundary, inner: Boundary, joins: bool) -> Result<(Reached, u64), String> {
        self.open()?;
        let part = boundary.part;
        // Who takes the dead one's place can come only when it is dead; who is there before does something else, if there is something else.
        let second = if joins { self.structure.parts() + part } else { self.other(part) };
        let Some(crew) = &mut self.crew else { return Ok((Reached::Wrong, 0)) };
        self.board.set_stage(stage::NOT_READY);
        let mut recoverer = None;
        if !joins {
            recoverer = Some(start(crew, second, Start::Joined, inner, self.road)?);
            if !await_until(self.options.bound, || self.board.stage() == stage::READY || self.board.has_faults()) {
                crew.seat(second).fault(Fault::Stuck, "the one who is to recover could not join");
            }
        }
        let worker = start(crew, part, Start::Warm, boundary, self.road)?;
        end(crew, part, worker, boundary);
        crew.bury(part, now_ns());
        self.board.set_stage(stage::GO);
        let recoverer = match recoverer {
            Some(recoverer) => recoverer,
            None => start(crew, second, Start::Cold, inner, self.road)?,
        };
        let reached = end(crew, second, recoverer, inner);
        crew.bury(second, now_ns());
        let length = crew.seat(second).steps().load(Ordering::Acquire);
        self.look()?;
        Ok((reached, length))
    }

    /// The boundaries of the work; or, of the recovery from a death at one of them.
    fn boundaries(&mut self, part: usize, recovery: Option<(Boundary, bool)>) -> Result<Vec<Boundary>, String> {
        let mut chance = fastrand::Rng::with_seed(self.options.seed);
        let mut all = Vec::new();
        for section in 0.. {
            let endless = Boundary::end_of(part, section);
            let (reached, length) = match recovery {
                Some((boundary, joins)) => self.pair(boundary, endless, joins)?,
                None => {
                    self.open()?;
                    let Some(crew) = &mut self.crew else { break };
                    let worker = start(crew, part, Start::Warm, endless, self.road)?;
                    let reached = end(crew, part, worker, endless);
                    crew.bury(part, now_ns());
                    let length = crew.seat(part).steps().load(Ordering::Acquire);
                    self.look()?;
                    (reached, length)
                }
            };
            if self.note(endless) || length == 0 {
                break;
            }
            if length <= LONGEST {
                let length = usize::try_from(length).expect("a section that is no longer than the longest");
                let road: Vec<u64> = self.road[..length].iter().map(|cell| cell.load(Ordering::Acquire)).collect();
                let ways = (0..).zip(Way::all(&road));
                all.extend(ways.map(|(place, way)| Boundary { part, section, place, way: Some(way) }));
            } else {
                self.report.is_cut_short = true;
                let places = (0..CHOSEN).map(|nth| (nth * length + chance.u64(..length)) / CHOSEN);
                all.extend(places.map(|place| Boundary { part, section, place, way: None }));
            }
            if reached != Reached::NextPoint {
                break;
            }
        }
        let (first, last) = self.options.boundaries;
        all.retain(|boundary| recovery.is_some() || (first..last).contains(&boundary.number()));
        let most = usize::try_from(self.options.count).unwrap_or(usize::MAX);
        if all.len() > most {
            self.report.is_cut_short = true;
            chance.shuffle(&mut all);
            all.truncate(most);
        }
        Ok(all)
    }

    /// With one death, and one of each part who looks, the telling is exact.
    fn expect_telling(&self, told_before: u64, held: bool) {
        let told = self.board.told() - told_before;
        if self.structure.told() == Told::Once && !self.board.has_faults() && held && told != 1 {
            let text = format!("one process died holding something, and that was told {told} times");
            self.board.seat(0).fault(Fault::Told, &text);
        }
    }

    /// Whether something is wrong. Then the boundary is what leads there again.
    fn note(&mut self, boundary: Boundary) -> bool {
        if !self.board.has_faults() {
            return false;
        }
        if let Some(crew) = self.crew.take() {
            crew.finish(self.report, boundary.number());
        }
        true
    }
}

/// Where a process begins to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Before it joins.
    Cold,
    /// Once it has joined and was told to go on.
    Joined,
    /// Once it has joined and done one step.
    Warm,
}

/// A process that does one step, to be killed at a boundary of it.
fn start(
    crew: &Crew<'_>,
    index: usize,
    start: Start,
    boundary: Boundary,
    road: &'static [AtomicU64],
) -> Result<Child, String> {
    let (seat, board) = (crew.seat(index), crew.board());
    seat.sits_down();
    seat.becomes_stepped();
    let (structure, place) = (crew.structure(), crew.place());
    let plan = CrashPlan {
        at_hit: boundary.section,
        planned: boundary.way.map_or(Planned::DieAfter(boundary.place), Planned::DieBehind),
        name_goes_to: seat.point_cells(),
    };
    let road = if boundary.place == u64::MAX { road } else { &[] };
    let count = || {
        count_instructions(seat.steps(), road).map_err(|error| format!("instructions cannot be counted: {error}"))?;
        plan_crash(plan);
        Ok::<(), String>(())
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
                    victim.prepare()?;
                    board.set_stage(stage::READY);
                    while board.stage() != stage::GO {
                        std::thread::yield_now();
                    }
                    count()?;
                }
            }
            seat.begins();
            victim.step(seat, &mut chance)?;
            seat.has_done();
            stop_counting();
            Ok(())
        };
        let outcome: Result<(), String> = work();
        if let Err(why) = outcome {
            stop_counting();
            seat.fault(Fault::Broken, &format!("seat {index}, stepped: {why}"));
        }
        DONE
    })
    .map_err(|error| format!("no process to be stepped: {error}"))
}

/// Waits for the end that was planned.
fn end(crew: &Crew<'_>, index: usize, mut child: Child, boundary: Boundary) -> Reached {
    let (seat, bound) = (crew.seat(index), crew.bound() * 2);
    match child.wait_until(Instant::now() + bound) {
        Ok(Some(Ended::Killed(9))) => return Reached::There,
        Ok(Some(Ended::Exited(NEXT_POINT))) => return Reached::NextPoint,
        Ok(Some(Ended::Exited(code))) if code == i32::from(DONE) => {
            return if crew.board().has_faults() { Reached::Wrong } else { Reached::Done };
        }
        // It came to the breakpoint where it may not be interrupted, and so not by this way.
        Ok(Some(Ended::Killed(5))) if boundary.way.is_some() => return Reached::NextPoint,
        Ok(None) => seat.fault(Fault::Stuck, &format!("seat {index} had not come to its end in {bound:?}")),
        other => seat.fault(Fault::Broken, &format!("seat {index}, stepped: {other:?}")),
    }
    Reached::Wrong
}

/// Another process does one step, in its own time.
fn look(crew: &mut Crew<'_>, index: usize) -> Result<(), String> {
    if crew.board().has_faults() {
        return Ok(());
    }
    let seat = crew.seat(index);
    seat.sits_down();
    seat.becomes_stepped();
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
