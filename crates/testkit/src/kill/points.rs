//! Ends at named crash points: between any two stores that another process could see apart.

use std::time::{Duration, Instant};

use crosstie_sys::trial::{Act, become_reaper_of_orphans, tick};

use super::board::Board;
use super::clock::now_ns;
use super::crew::{Crew, Post, await_until};
use super::patience::MOST;
use super::random::PER_TRIAL;
use super::report::Report;
use super::structure::{Options, Structure};

/// The furthest crash point that a process is sent to, counted over all that it meets.
const FURTHEST: u64 = 60;

/// Kills at crash points until `options.count` processes met their end, or until something is found wrong.
///
/// # Errors
///
/// What keeps the harness itself from working, in words. A structure without crash points is [`Report::not_run`].
pub fn points(structure: &dyn Structure, options: &Options) -> Result<Report, String> {
    tick(Duration::from_millis(20)).map_err(|error| format!("no timer: {error}"))?;
    become_reaper_of_orphans().map_err(|error| format!("orphans cannot be taken in: {error}"))?;
    let board = Board::new(structure.seats() + 1).map_err(|error| format!("no board: {error}"))?;
    let mut report = Report::of("points", structure.name(), options.seed);
    let start = Instant::now();
    let mut seed = options.seed;
    while report.kills < options.count {
        let count = PER_TRIAL.min(options.count - report.kills);
        if trial(structure, &board, options, &mut report, seed, count)? {
            break;
        }
        if report.points.is_empty() && report.faults.is_empty() {
            return Ok(report.not_run("it has no crash points, or they are not compiled in"));
        }
        seed += 1;
    }
    report.elapsed = start.elapsed();
    Ok(report)
}

/// Whether anything was found wrong.
fn trial(
    structure: &dyn Structure,
    board: &Board,
    options: &Options,
    report: &mut Report,
    seed: u64,
    count: u64,
) -> Result<bool, String> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut crew = Crew::new(structure, board, options)?;
    for index in 0..crew.seats() {
        let post = post(&mut chance, structure);
        crew.man(index, chance.u64(..), post)?;
    }
    while crew.tally().deaths < count && !board.has_faults() {
        let mut dead = None;
        // A structure without points is found out soon.
        let bound = if report.points.is_empty() { options.bound / 4 } else { options.bound * MOST };
        await_until(bound, || {
            dead = (0..crew.seats()).find(|index| crew.has_ended(*index));
            crew.look_for_stuck();
            dead.is_some() || board.has_faults()
        });
        let Some(victim) = dead else { break };
        let name = crew.seat(victim).point();
        if name.is_empty() {
            crew.report_own_end(victim);
            break;
        }
        *report.points.entry(name).or_default() += 1;
        crew.bury(victim, now_ns());
        let post = post(&mut chance, structure);
        crew.man(victim, chance.u64(..), post)?;
    }
    // Whoever is left has an end planned; others look at what there is.
    for index in 0..crew.seats() {
        crew.end(index, Act::Kill);
        crew.man(index, chance.u64(..), Post::Plain)?;
    }
    crew.await_a_step_of_each();
    Ok(crew.finish(report, seed))
}

fn post(chance: &mut fastrand::Rng, structure: &dyn Structure) -> Post {
    // Low numbers are the joining, which every process passes once; higher ones are the work.
    let furthest = if chance.u8(..4) == 0 { FURTHEST / 4 } else { FURTHEST };
    let act = if chance.u8(..16) == 0 && structure.lets_go_in_any_case() { Act::Fork } else { Act::Kill };
    Post::AtPoint(chance.u64(1..=furthest), act)
}
