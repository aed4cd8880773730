//! Ends at every instruction boundary of one operation, and of the recovery from each.
//!
//! A child does one step of its work, counts its own instructions, and is killed behind the k-th; then another looks at what is left. What
//! the child does before, joining and one step to warm up, is not counted.
//!
//! The crash points cut the work into sections. A child runs at full speed to the point that begins one and counts from there, so that
//! all boundaries of a long work cost no more than those of its sections. The number of a boundary is its section and its place in it.
//!
//! *Which boundaries.* A first child is *surveyed*: behind each of its instructions all memory that it shares, the board among it, is compared with what it was
//! before, and system calls are noted. Where nothing changed a death leaves the survivors what it left them one instruction earlier, bit for bit:
//! registers and private memory go with the process. So those who die behind each *change* stand for all, and the others need not be killed one by one. They are
//! nevertheless where that is cheap: of the work of one process each boundary is tried, except in sections of more than 1,500 instructions; of
//! recovering and joining each change, and now and then a boundary in between.
//!
//! *Nested.* Each change of the work is a first death, and the recovery from each is surveyed. Two recoveries are alike if they make the same
//! instructions and meet as many crash points. Of those that are alike the first and then each sixteenth is gone through, change by change; all of them if that is
//! asked for. The first deaths before somebody joins are each fourth change, then.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crosstie_sys::trial::{CAN_STEP, Road, become_reaper_of_orphans, pin_to_core, tick, unpin};

use super::board::{Board, Fault};
use super::clock::now_ns;
use super::course::{Boundary, Course, Which};
use super::crew::{Crew, Post};
use super::report::Report;
use super::stepped::{Aim, Reached, Start, await_stage, end, look, stage, start};
use super::structure::{Options, Structure, Told};

/// What is stepped through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// The work of one process that is alone.
    Alone,
    /// The work of one process while another works on the same at full speed.
    Contended,
    /// The recovery of one process that has joined before another died.
    Recovery,
    /// The same for one that joins afterwards: the joining too.
    Joining,
}

/// How many ends one structure sees before its oracle is asked and another is set up.
const PER_TRIAL: u64 = 64;

/// Recoveries are told apart by what they do from this crash point on: before, they find out that there is something to do.
const TO_TELL_APART: u64 = 2;
/// Of so many recoveries that are alike one is gone through, the first among them.
const ONE_OF: u64 = 16;
/// Of so many first deaths one is surveyed with somebody who joins afterwards, which is long.
const JOINED_AT: u64 = 4;
/// How often a survey is made again that was blind to something.
const BLIND: u32 = 16;

/// The longest piece of work that can be surveyed, in instructions.
const LONGEST: usize = 1 << 21;

/// Kills at every instruction boundary within `options.boundaries`, or until something is found wrong; `options.count` bounds the kills.
///
/// # Errors
///
/// What keeps the harness itself from working, in words. Where instructions cannot be counted the report is [`Report::not_run`].
pub fn steps(structure: &dyn Structure, options: &Options, nesting: Nesting) -> Result<Report, String> {
    let kind = match nesting {
        Nesting::Alone => "steps",
        Nesting::Contended => "contended",
        Nesting::Recovery => "recovery",
        Nesting::Joining => "joining",
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
    let road = road()?;
    let begun = Instant::now();
    let chance = fastrand::Rng::with_seed(options.seed);
    let mut walk = Walk { structure, options, board: &board, report: &mut report, crew: None, trials: 0, road, chance };
    for part in 0..structure.parts() {
        match nesting {
            Nesting::Alone => walk.alone(part, false)?,
            Nesting::Contended => walk.alone(part, true)?,
            Nesting::Recovery => walk.nested(part, false)?,
            Nesting::Joining => walk.nested(part, true)?,
        }
    }
    walk.close();
    if let Some(core) = core {
        unpin(&core).map_err(|error| format!("the core cannot be left: {error}"))?;
    }
    report.elapsed = begun.elapsed();
    Ok(report)
}

/// The road of this process: one for all, because it is never given back.
fn road() -> Result<Road, String> {
    static ROAD: OnceLock<Road> = OnceLock::new();

    if let Some(road) = ROAD.get() {
        return Ok(*road);
    }
    let road = Road::new(LONGEST).map_err(|error| format!("no place for what is surveyed: {error}"))?;
    Ok(*ROAD.get_or_init(|| road))
}

struct Walk<'a> {
    structure: &'a dyn Structure,
    options: &'a Options,
    board: &'a Board,
    report: &'a mut Report,
    crew: Option<Crew<'a>>,
    trials: u64,
    /// What the last process that was surveyed did.
    road: Road,
    chance: fastrand::Rng,
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
        let Some(course) = self.survey(part)? else { return Ok(()) };
        self.report.work += course.instructions();
        for boundary in self.chosen(course.boundaries(part, Which::Each, &mut self.chance.clone())) {
            // Who does not come by the way that the first one came goes step by step.
            for boundary in [boundary, boundary.on_foot()] {
                self.open()?;
                let Some(crew) = &mut self.crew else { return Ok(()) };
                if contended && !crew.is_manned(other) {
                    crew.man(other, boundary.number(), Post::Plain)?;
                }
                let told = self.board.told();
                let worker = start(crew, part, Start::Warm, Aim::At(boundary), self.road)?;
                let reached = end(crew, part, worker, Aim::At(boundary));
                let held = crew.bury(part, now_ns()).is_some();
                if contended {
                    crew.await_steps_of(other);
                } else if reached != Reached::Wrong {
                    self.look()?;
                    self.expect_telling(told, held);
                }
                if self.note(boundary, None) {
                    return Ok(());
                }
                if reached == Reached::There {
                    self.report.boundaries.0 += 1;
                    self.report.changes += u64::from(boundary.is_change());
                    break;
                }
                self.report.missed += u64::from(!boundary.has_way() && boundary.is_change());
            }
        }
        Ok(())
    }

    /// The worker dies at every change, the one who recovers at every change of that: of all recoveries, or of some of those that are alike.
    fn nested(&mut self, part: usize, joins: bool) -> Result<(), String> {
        let Some(course) = self.survey(part)? else { return Ok(()) };
        let mut known: HashMap<u64, u64> = HashMap::new();
        for (nth, outer) in (0..).zip(self.chosen(course.boundaries(part, Which::Changes, &mut self.chance.clone()))) {
            // Until it meets its first crash point, who joins only reads, and knows of nobody who died: that is gone through once. It is the longest stretch.
            if joins && nth == 0 {
                let Some((outer, entrance)) = self.recovery(outer, 0, joins)? else { break };
                if !self.nest(outer, &entrance.up_to_first_point(), joins)? {
                    return Ok(());
                }
            }
            if joins && nth % JOINED_AT != 0 && !self.options.is_thorough {
                continue;
            }
            let Some((outer, recovery)) = self.recovery(outer, TO_TELL_APART, joins)? else {
                if !self.report.faults.is_empty() {
                    return Ok(());
                }
                self.report.missed += 1;
                continue;
            };
            self.report.courses.0 += 1;
            let alike = known.entry(recovery.signature()).or_default();
            *alike += 1;
            if *alike % ONE_OF != 1 && !self.options.is_thorough {
                continue;
            }
            let Some((outer, recovery)) = self.recovery(outer, u64::from(joins), joins)? else { continue };
            self.report.courses.1 += 1;
            if !self.nest(outer, &recovery, joins)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What the one who recovers does after a death at `outer`, from its so-manieth crash point on; and which way the other came there. None if nobody
    /// comes there any more, now that another one has joined, or if something is wrong.
    fn recovery(&mut self, outer: Boundary, from: u64, joins: bool) -> Result<Option<(Boundary, Course)>, String> {
        for outer in [outer, outer.on_foot()] {
            for attempt in 0..=BLIND {
                let is_there = self.pair(outer, Aim::ToSurvey(from), joins)?;
                if self.note(outer, None) || !self.report.faults.is_empty() {
                    return Ok(None);
                }
                if !is_there {
                    break;
                }
                if !self.road.is_blind() {
                    return Course::of(self.road, from).map(|course| Some((outer, course)));
                }
                if attempt == BLIND {
                    return Err(format!("no survey of a recovery of {} saw every change", self.structure.name()));
                }
            }
        }
        Ok(None)
    }

    /// The one who recovers dies at every change of this course. False if that is enough of it.
    fn nest(&mut self, outer: Boundary, recovery: &Course, joins: bool) -> Result<bool, String> {
        for inner in recovery.boundaries(outer.part, Which::Changes, &mut self.chance.clone()) {
            if self.report.boundaries.1 >= self.options.count {
                self.report.is_cut_short = true;
                return Ok(false);
            }
            let reached =
                self.pair(outer, Aim::At(inner), joins)? || self.pair(outer, Aim::At(inner.on_foot()), joins)?;
            if self.note(outer, Some(inner)) || !self.report.faults.is_empty() {
                return Ok(false);
            }
            self.report.boundaries.1 += u64::from(reached);
            self.report.changes += u64::from(reached && inner.is_change());
            self.report.missed += u64::from(!reached && inner.is_change());
        }
        Ok(true)
    }

    /// One dies at `outer`, the one who recovers at `inner` or not at all, and others look. Says whether both came where they were to come.
    fn pair(&mut self, outer: Boundary, inner: Aim, joins: bool) -> Result<bool, String> {
        if self.board.has_faults() {
            return Ok(false);
        }
        self.open()?;
        let part = outer.part;
        // Who takes the dead one's place can come only when it is dead; who is there before does something else, if there is something else.
        let second = if joins { self.structure.parts() + part } else { self.other(part) };
        let Some(crew) = &mut self.crew else { return Ok(false) };
        self.board.set_stage(stage::NOT_READY);
        let mut recoverer = None;
        if !joins {
            recoverer = Some(start(crew, second, Start::Joined, inner, self.road)?);
            await_stage(crew, second, stage::JOINED);
        }
        let worker = start(crew, part, Start::Warm, Aim::At(outer), Road::none())?;
        let died = end(crew, part, worker, Aim::At(outer)) == Reached::There;
        crew.bury(part, now_ns());
        if !joins {
            await_stage(crew, second, stage::READY);
        }
        self.board.set_stage(stage::GO);
        let recoverer = match recoverer {
            Some(recoverer) => recoverer,
            None => start(crew, second, Start::Cold, inner, self.road)?,
        };
        let reached = end(crew, second, recoverer, inner);
        crew.bury(second, now_ns());
        self.look()?;
        Ok(died && reached == inner.reached())
    }

    /// What a worker of this part does that is not killed; none if something is wrong.
    fn survey(&mut self, part: usize) -> Result<Option<Course>, String> {
        for _ in 0..BLIND {
            self.open()?;
            let Some(crew) = &mut self.crew else { return Ok(None) };
            let worker = start(crew, part, Start::Warm, Aim::ToSurvey(0), self.road)?;
            let reached = end(crew, part, worker, Aim::ToSurvey(0));
            crew.bury(part, now_ns());
            self.look()?;
            if reached != Reached::Done {
                self.close();
                return Ok(None);
            }
            if !self.road.is_blind() {
                break;
            }
        }
        if self.road.is_blind() {
            return Err(format!("no survey of {} saw every change", self.structure.name()));
        }
        Course::of(self.road, 0).map(Some)
    }

    /// Those within what was asked for, at most so many as were.
    fn chosen(&mut self, mut all: Vec<Boundary>) -> Vec<Boundary> {
        let (first, last) = self.options.boundaries;
        all.retain(|boundary| (first..last).contains(&boundary.number()));
        let most = usize::try_from(self.options.count).unwrap_or(usize::MAX);
        if all.len() > most {
            self.report.is_cut_short = true;
            self.chance.shuffle(&mut all);
            all.truncate(most);
        }
        all
    }

    /// With one death, and one of each part who looks, the telling is exact.
    fn expect_telling(&self, told_before: u64, held: bool) {
        let told = self.board.told() - told_before;
        if self.structure.told() == Told::Once && !self.board.has_faults() && held && told != 1 {
            let text = format!("one process died holding something, and that was told {told} times");
            self.board.seat(0).fault(Fault::Told, &text);
        }
    }

    /// Whether something is wrong. Then the first boundary is what leads there again.
    fn note(&mut self, boundary: Boundary, inner: Option<Boundary>) -> bool {
        if !self.board.has_faults() {
            return false;
        }
        if let Some(crew) = self.crew.take() {
            crew.finish(self.report, boundary.number());
            if let Some(inner) = inner {
                self.report.text += &format!("; the one who recovered died at its boundary {}", inner.number());
            }
        }
        true
    }
}
