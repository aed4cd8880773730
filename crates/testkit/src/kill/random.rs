//! Ends at random instants: killed for the most part; in one kind also stopped, gone by itself, forked, become another program, or without its memory.

use std::thread;
use std::time::{Duration, Instant};

use crosstie_sys::trial::{Act, become_reaper_of_orphans, tick};

use super::board::Board;
use super::crew::{Crew, Post};
use super::report::Report;
use super::structure::{Options, Structure, Told};

/// How many ends one structure sees before its oracle is asked and another is set up.
pub const PER_TRIAL: u64 = 50;

/// The longest pause between two ends.
const PAUSE: Duration = Duration::from_micros(300);
/// The longest that a process is kept stopped.
const STOPPED: Duration = Duration::from_millis(3);

/// What the ends of a run are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Killed, every one.
    Kills,
    /// Killed, stopped and let go on, gone without a word, forked and killed, become another program, unmapped all it shares: each as often.
    All,
}

/// Kills at random instants until `options.count` processes met their end, or until something is found wrong.
///
/// # Errors
///
/// What keeps the harness itself from working, in words.
pub fn random(structure: &dyn Structure, options: &Options, ends: Ends) -> Result<Report, String> {
    let kind = if ends == Ends::Kills { "random" } else { "ends" };
    trials(structure, options, kind, ends, Post::Plain)
}

/// The same with every process being process 1 of a PID namespace of its own: all of them have the same id.
///
/// # Errors
///
/// What keeps the harness itself from working, in words.
pub fn namespaces(structure: &dyn Structure, options: &Options) -> Result<Report, String> {
    trials(structure, options, "namespaces", Ends::Kills, Post::OwnNamespace)
}

fn trials(
    structure: &dyn Structure,
    options: &Options,
    kind: &'static str,
    ends: Ends,
    post: Post,
) -> Result<Report, String> {
    tick(Duration::from_millis(20)).map_err(|error| format!("no timer: {error}"))?;
    become_reaper_of_orphans().map_err(|error| format!("orphans cannot be taken in: {error}"))?;
    let board = Board::new(structure.seats() + 1).map_err(|error| format!("no board: {error}"))?;
    let mut report = Report::of(kind, structure.name(), options.seed);
    let start = Instant::now();
    let mut seed = options.seed;
    while report.kills < options.count {
        let count = PER_TRIAL.min(options.count - report.kills);
        match trial(structure, &board, options, &mut report, Trial { seed, count, ends, post }) {
            Err(why) if matches!(post, Post::OwnNamespace) && report.kills == 0 => return Ok(report.not_run(why)),
            other => {
                if other? {
                    break;
                }
            }
        }
        seed += 1;
    }
    report.elapsed = start.elapsed();
    Ok(report)
}

/// One structure, from its set-up to its oracle.
struct Trial {
    seed: u64,
    count: u64,
    ends: Ends,
    post: Post,
}

/// Whether anything was found wrong.
fn trial(
    structure: &dyn Structure,
    board: &Board,
    options: &Options,
    report: &mut Report,
    trial: Trial,
) -> Result<bool, String> {
    let mut chance = fastrand::Rng::with_seed(trial.seed);
    let mut crew = Crew::new(structure, board, options)?;
    for index in 0..crew.seats() {
        crew.man(index, chance.u64(..), trial.post)?;
    }
    while crew.tally().deaths < trial.count && !board.has_faults() {
        // Half of the pauses are short, so that the ends come while the last one is still being dealt with.
        let longest = if chance.bool() { PAUSE } else { PAUSE / 10 };
        thread::sleep(longest.mul_f64(chance.f64()));
        let victim = chance.usize(..crew.seats());
        let act = act(&mut chance, trial.ends, structure);
        let rests = crew.look_for_stuck();
        if rests[victim] {
            continue;
        }
        if act == Act::Stop {
            crew.child(victim)
                .signal(Act::Stop.signal())
                .map_err(|error| format!("a process cannot be stopped: {error}"))?;
            thread::sleep(STOPPED.mul_f64(chance.f64()));
            crew.forgive(victim);
            crew.child(victim).go_on().map_err(|error| format!("a process cannot be let go on: {error}"))?;
            *report.ends.entry("stopped").or_default() += 1;
            continue;
        }
        *report.ends.entry(name(act)).or_default() += 1;
        let told = board.told();
        let died_at = crew.end(victim, act).filter(|_| structure.told() == Told::Once);
        // Nobody new comes before the living have told of it: whoever joins puts in order what the last one in the slot has left.
        if let Some(at) = died_at {
            report.recoveries.extend(crew.await_telling(told, at));
        }
        crew.man(victim, chance.u64(..), trial.post)?;
    }
    Ok(crew.finish(report, trial.seed))
}

fn act(chance: &mut fastrand::Rng, ends: Ends, structure: &dyn Structure) -> Act {
    if ends == Ends::Kills {
        return Act::Kill;
    }
    if !structure.lets_go_in_any_case() {
        return [Act::Kill, Act::Stop, Act::Exit][chance.usize(..3)];
    }
    [Act::Kill, Act::Stop, Act::Exit, Act::Fork, Act::Exec, Act::Unmap][chance.usize(..6)]
}

fn name(act: Act) -> &'static str {
    match act {
        Act::Kill => "killed",
        Act::Stop => "stopped",
        Act::Exit => "gone",
        Act::Fork => "forked",
        Act::Exec => "exec",
        Act::Unmap => "unmapped",
    }
}
