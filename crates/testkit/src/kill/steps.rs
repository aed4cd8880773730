//! Ends at every instruction boundary of one operation, and of the recovery from each.
//!
//! A child does one step of its work, counts its own instructions, and is killed behind the k-th; then another looks at what is left. k
//! counts from 0 until the step is over. What the child does before, joining and one step to warm up, is not counted.

use std::time::{Duration, Instant};

use crosstie_sys::trial::{
    CAN_STEP, Child, Ended, become_reaper_of_orphans, die_after, fork, pin_to_core, stop_counting, tick, unpin,
};

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

/// Seats of those who take part.
const WORKER: usize = 0;
const RECOVERER: usize = 1;

/// How far the one who is to recover is.
mod stage {
    pub(super) const NOT_READY: u64 = 0;
    pub(super) const READY: u64 = 1;
    pub(super) const GO: u64 = 2;
}

/// What a child leaves with that came to the end of its work.
const DONE: u8 = 3;

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
    let board = Board::new(structure.seats().max(2) + 1).map_err(|error| format!("no board: {error}"))?;
    let begun = Instant::now();
    let mut walk = Walk { structure, options, board: &board, report: &mut report, crew: None, trials: 0 };
    match nesting {
        Nesting::Alone => walk.alone(false)?,
        Nesting::Contended => walk.alone(true)?,
        Nesting::Recovery(outer) => walk.nested(outer, false)?,
        Nesting::Joining(outer) => walk.nested(outer, true)?,
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
}

/// How a stepped process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// It was killed where it was to be.
    There,
    /// It was done before.
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

    fn alone(&mut self, contended: bool) -> Result<(), String> {
        let (first, last) = self.options.boundaries;
        for boundary in first..last {
            if boundary - first >= self.options.count {
                self.report.is_cut_short = true;
                break;
            }
            self.open()?;
            let Some(crew) = &mut self.crew else { break };
            if contended && !crew.is_manned(RECOVERER) {
                crew.man(RECOVERER, boundary, Post::Plain)?;
            }
            let told = self.board.told();
            let worker = start(crew, WORKER, Start::Warm, boundary)?;
            let reached = end(crew, WORKER, worker);
            self.report.boundaries.0 += u64::from(reached == Reached::There);
            let held = crew.bury(WORKER, now_ns()).is_some();
            if contended {
                crew.await_steps_of(RECOVERER);
            } else if reached != Reached::Wrong {
                look(crew, RECOVERER)?;
                expect_telling(crew, told, held);
            }
            if self.note(boundary) || reached == Reached::Done {
                break;
            }
        }
        Ok(())
    }

    /// The worker dies at some boundaries, the recoverer at every one that it passes then.
    fn nested(&mut self, outer: u64, joins: bool) -> Result<(), String> {
        let length = self.length()?;
        let mut chance = fastrand::Rng::with_seed(self.options.seed);
        for nth in 0..outer {
            // Spread evenly, each at a random place of its part.
            let boundary = (nth * length + chance.u64(..length.max(1))) / outer.max(1);
            for inner in 0.. {
                if inner >= self.options.count / outer.max(1) {
                    self.report.is_cut_short = true;
                    break;
                }
                self.open()?;
                let Some(crew) = &mut self.crew else { return Ok(()) };
                self.board.set_stage(stage::NOT_READY);
                let mut recoverer = None;
                if !joins {
                    recoverer = Some(start(crew, RECOVERER, Start::Joined, inner)?);
                    if !await_until(self.options.bound, || {
                        self.board.stage() == stage::READY || self.board.has_faults()
                    }) {
                        crew.seat(RECOVERER).fault(Fault::Stuck, "the one who is to recover could not join");
                    }
                }
                let worker = start(crew, WORKER, Start::Warm, boundary)?;
                end(crew, WORKER, worker);
                crew.bury(WORKER, now_ns());
                self.board.set_stage(stage::GO);
                let recoverer = match recoverer {
                    Some(recoverer) => recoverer,
                    None => start(crew, RECOVERER, Start::Cold, inner)?,
                };
                let within = end(crew, RECOVERER, recoverer);
                crew.bury(RECOVERER, now_ns());
                self.report.boundaries.1 += u64::from(within == Reached::There);
                look(crew, WORKER)?;
                if self.note(inner) {
                    return Ok(());
                }
                if within == Reached::Done {
                    break;
                }
            }
        }
        Ok(())
    }

    /// How many boundaries the work has.
    fn length(&mut self) -> Result<u64, String> {
        self.open()?;
        let Some(crew) = &mut self.crew else { return Ok(0) };
        let worker = start(crew, WORKER, Start::Warm, u64::MAX)?;
        end(crew, WORKER, worker);
        crew.bury(WORKER, now_ns());
        Ok(crew.seat(WORKER).steps())
    }

    /// Whether something is wrong. Then the boundary is what leads there again.
    fn note(&mut self, boundary: u64) -> bool {
        if !self.board.has_faults() {
            return false;
        }
        if let Some(crew) = self.crew.take() {
            crew.finish(self.report, boundary);
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

/// A process that does one step, to be killed behind so many instructions of it.
fn start(crew: &Crew<'_>, index: usize, start: Start, instructions: u64) -> Result<Child, String> {
    let (seat, board) = (crew.seat(index), crew.board());
    seat.sits_down();
    let (structure, place) = (crew.structure(), crew.place());
    let count = || die_after(instructions).map_err(|error| format!("instructions cannot be counted: {error}"));
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
            seat.set_steps(stop_counting());
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
fn end(crew: &Crew<'_>, index: usize, mut child: Child) -> Reached {
    let (seat, bound) = (crew.seat(index), crew.bound() * 2);
    match child.wait_until(Instant::now() + bound) {
        Ok(Some(Ended::Killed(9))) => return Reached::There,
        Ok(Some(Ended::Exited(code))) if code == i32::from(DONE) => {
            return if crew.board().has_faults() { Reached::Wrong } else { Reached::Done };
        }
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
    let (structure, place) = (crew.structure(), crew.place());
    let mut child = fork(|| {
        let mut chance = fastrand::Rng::with_seed(index as u64);
        if let Err(why) = structure.join(place, seat).and_then(|mut victim| victim.step(seat, &mut chance)) {
            seat.fault(Fault::Broken, &format!("seat {index}, looking at what was left: {why}"));
        }
        0
    })
    .map_err(|error| format!("no process to look: {error}"))?;
    crew.await_end(&mut child, seat, "looking at what was left");
    seat.gets_up();
    Ok(())
}

/// With one death and one who looks, the telling is exact.
fn expect_telling(crew: &Crew<'_>, told_before: u64, held: bool) {
    let told = crew.board().told() - told_before;
    if crew.structure().told() == Told::Once && !crew.board().has_faults() && held && told != 1 {
        crew.seat(RECOVERER)
            .fault(Fault::Told, &format!("one process died holding something, and that was told {told} times"));
    }
}
