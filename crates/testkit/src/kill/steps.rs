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
//! nevertheless where that is cheap: of the work of one process each boundary is tried, except in sections of more than 1,500 instructions.
//!
//! *Nested.* For the same reason whoever recovers or joins, and whoever dies first, needs to die only once between any two *deeds*: changes of what the structure
//! shares, and system calls. Their deaths are just before each deed and when all is done. All deeds of the work are first deaths; the deeds of the one who
//! recovers from each are recorded, and all of them are second deaths. The board is not part of what is shared here: just before a deed it has been told all
//! that it will be told before that.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crosstie_sys::trial::{CAN_STEP, Deed, Road, become_reaper_of_orphans, pin_to_core, tick, unpin};

use super::board::{Board, Fault};
use super::clock::now_ns;
use super::course::{Boundary, Course};
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

/// How often somebody is sent to a deed who did not come there.
const TRIES: u32 = 4;
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
            Nesting::Contended => {
                walk.alone(part, true)?;
                // Whoever contended has the place of the next part.
                walk.close();
            }
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
        for boundary in self.chosen(course.boundaries(part, &mut self.chance.clone())) {
            // Who does not come by the way that the first one came goes step by step; then with another structure, which nobody else has used.
            for (boundary, is_new) in [(boundary, false), (boundary.on_foot(), false), (boundary.on_foot(), true)] {
                if is_new {
                    self.close();
                }
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
                if self.note(boundary.number(), None) {
                    return Ok(());
                }
                if reached == Reached::There {
                    self.report.boundaries.0 += 1;
                    self.report.changes += u64::from(boundary.is_change());
                    break;
                }
                self.report.missed += u64::from(is_new && boundary.is_change());
            }
        }
        Ok(())
    }

    /// The worker dies before each of its deeds, and whoever recovers from that before each of its own.
    fn nested(&mut self, part: usize, joins: bool) -> Result<(), String> {
        let Some(deeds) = self.record(part, Aim::ToRecord, Aim::AtTheEnd, joins)? else {
            let is_wrong = self.note(0, None) || !self.report.faults.is_empty();
            let name = self.structure.name();
            return if is_wrong { Ok(()) } else { Err(format!("part {part} of {name} did not come to its end")) };
        };
        let (first, last) = self.options.boundaries;
        for outer in ends(&deeds) {
            let number = part as u64 * Boundary::PER_PART + outer.1;
            if !(first..last).contains(&number) {
                continue;
            }
            let aim = outer.0;
            let Some(deeds) = self.record(part, aim, Aim::ToRecord, joins)? else {
                if self.note(number, None) || !self.report.faults.is_empty() {
                    return Ok(());
                }
                self.report.missed += 1;
                continue;
            };
            self.report.recovered += 1;
            for inner in ends(&deeds) {
                if self.report.boundaries.1 >= self.options.count {
                    self.report.is_cut_short = true;
                    return Ok(());
                }
                let mut is_there = false;
                for nth in 0..TRIES {
                    // What it does may depend on how often that was done before: on a number, or where a ring ends.
                    if nth > 0 {
                        self.close();
                    }
                    is_there = self.pair(part, aim, inner.0, joins)?;
                    if self.note(number, Some(inner.1)) || !self.report.faults.is_empty() {
                        return Ok(());
                    }
                    if is_there {
                        break;
                    }
                }
                self.report.boundaries.1 += u64::from(is_there);
                self.report.missed += u64::from(!is_there);
            }
        }
        Ok(())
    }

    /// The deeds of the one of a [`pair`](Self::pair) who is to record them; none if they did not come to it, or if something is wrong.
    fn record(&mut self, part: usize, outer: Aim, inner: Aim, joins: bool) -> Result<Option<Vec<(u64, Deed)>>, String> {
        for _ in 0..BLIND {
            // One that nobody else has used.
            self.close();
            let is_done = self.pair(part, outer, inner, joins)?;
            if self.board.has_faults() || !self.report.faults.is_empty() {
                return Ok(None);
            }
            if is_done && !self.road.is_blind() {
                return Ok(Some(Deed::all(&self.road.places())));
            }
        }
        if self.road.is_blind() {
            return Err(format!("no record of part {part} of {} had every change", self.structure.name()));
        }
        Ok(None)
    }

    /// One comes to `outer`, the one who recovers from that to `inner`, and others look. Says whether both came where they were to come.
    fn pair(&mut self, part: usize, outer: Aim, inner: Aim, joins: bool) -> Result<bool, String> {
        if self.board.has_faults() {
            return Ok(false);
        }
        self.open()?;
        // Who takes the dead one's place can come only when it is dead; who is there before does something else, if there is something else.
        let second = if joins { self.structure.parts() + part } else { self.other(part) };
        let road_of = |aim: Aim| if aim == Aim::ToRecord { self.road } else { Road::none() };
        let Some(crew) = &mut self.crew else { return Ok(false) };
        self.board.set_stage(stage::NOT_READY);
        let mut recoverer = None;
        if !joins {
            recoverer = Some(start(crew, second, Start::Joined, inner, road_of(inner))?);
            await_stage(crew, second, stage::JOINED);
        }
        let worker = start(crew, part, Start::Warm, outer, road_of(outer))?;
        let is_there = end(crew, part, worker, outer) == outer.reached();
        crew.bury(part, now_ns());
        if !joins {
            await_stage(crew, second, stage::READY);
        }
        self.board.set_stage(stage::GO);
        let recoverer = match recoverer {
            Some(recoverer) => recoverer,
            None => start(crew, second, Start::Cold, inner, road_of(inner))?,
        };
        let reached = end(crew, second, recoverer, inner);
        crew.bury(second, now_ns());
        self.look()?;
        Ok(is_there && reached == inner.reached())
    }

    /// What a worker of this part does that is not killed; none if something is wrong.
    fn survey(&mut self, part: usize) -> Result<Option<Course>, String> {
        for _ in 0..BLIND {
            self.open()?;
            let Some(crew) = &mut self.crew else { return Ok(None) };
            let worker = start(crew, part, Start::Warm, Aim::ToSurvey, self.road)?;
            let reached = end(crew, part, worker, Aim::ToSurvey);
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
        Course::of(self.road).map(Some)
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
    fn note(&mut self, boundary: u64, inner: Option<u64>) -> bool {
        if !self.board.has_faults() {
            return false;
        }
        if let Some(crew) = self.crew.take() {
            crew.finish(self.report, boundary);
            if let Some(inner) = inner {
                self.report.text += &format!("; the one who recovered died before its deed {inner}");
            }
        }
        true
    }
}

/// Where to die: before each deed, and at the end; with what it is called on the command line.
fn ends(deeds: &[(u64, Deed)]) -> Vec<(Aim, u64)> {
    let end = deeds.last().map_or(1, |(number, _)| number + 1);
    deeds.iter().map(|(number, deed)| (Aim::Before(*deed), *number)).chain([(Aim::AtTheEnd, end)]).collect()
}
