//! Runs the cases in turn, several times over: two processes, bound to processors, for each.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;

use crosstie_sys::processors;

use super::case::{CASES, Case, Unit};
use super::place::{Place, Side};
use super::rounds::LARGE;
use super::table::{Row, Table};
use crate::error::{Error, Result};
use crate::host::Host;

/// The arguments of `streams`.
#[derive(clap::Args)]
pub(crate) struct StreamsArguments {
    /// Only the cases that begin so, and what they are compared with (repeat or separate by commas)
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Passes through all cases; medians are over them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Also write everything as JSON to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The arguments of the process that is started for a case.
#[derive(clap::Args)]
pub(crate) struct PeerArguments {
    case: String,
    folder: PathBuf,
}

/// Repetitions in one pass; the middle one counts. One more goes before them, for warming up.
const REPETITIONS: usize = 3;

/// Measures, and prints the table.
pub(crate) fn streams(arguments: &StreamsArguments) -> Result<()> {
    let host = Host::read();
    if processors::allowed() & 3 != 3 {
        return Err(Error::new("expected processors 0 and 1 to be free for this process: see taskset(1)"));
    }
    let begins = |case: &Case| arguments.only.iter().any(|only| case.name.starts_with(only.as_str()));
    let is_floor = |name| CASES.iter().any(|case| case.floor == Some(name) && begins(case));
    let is_wanted = |case: &&Case| arguments.only.is_empty() || begins(case) || is_floor(case.name);
    let mut rows: Vec<_> = CASES.iter().filter(is_wanted).map(Row::new).collect();
    if rows.is_empty() {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        return Err(Error::new(format!("expected the beginning of a case: {}", names.join(", "))));
    }
    for _ in 0..arguments.repeat {
        for row in &mut rows {
            row.add(measure(row.case).map_err(Error::during(row.case.name))?);
        }
    }
    let table = Table::new(host, arguments.repeat, rows);
    print!("{}", table.text());
    arguments.json.as_ref().map_or(Ok(()), |path| table.save(path))
}

fn measure(case: &'static Case) -> Result<f64> {
    let memory = PathBuf::from("/dev/shm");
    let memory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let mut folder = tempfile::Builder::new();
    let folder = folder.prefix("crosstie-bench-").permissions(Permissions::from_mode(0o700)).tempdir_in(memory)?;
    let mut nanos = run(case, Place::new(Side::Measurer, case.name, folder.path().to_owned()))?;
    nanos.sort_by(f64::total_cmp);
    let middle = nanos[nanos.len() / 2];
    Ok(match case.unit {
        Unit::Micros => middle / 1e3,
        Unit::Millions => 1e3 / middle,
        Unit::Gigabytes => LARGE as f64 / middle,
    })
}

/// One process's part: nanoseconds for each round of each repetition.
fn run(case: &Case, mut place: Place) -> Result<Vec<f64>> {
    processors::pin(usize::from(place.side() == Side::Peer && !case.one_processor))?;
    let mut rounds = (case.open)(&mut place)?;
    let mut nanos = Vec::new();
    for repetition in 0..=REPETITIONS {
        let begun = Instant::now();
        rounds(case.count)?;
        if repetition > 0 {
            nanos.push(begun.elapsed().as_secs_f64() * 1e9 / case.count as f64);
        }
    }
    drop(rounds);
    place.end()?;
    Ok(nanos)
}

/// Is the other process of a case.
pub(crate) fn run_peer(arguments: &PeerArguments) -> Result<()> {
    let case = CASES.iter().find(|case| case.name == arguments.case);
    let case = case.ok_or_else(|| Error::new(format!("expected a case, found '{}'", arguments.case)))?;
    run(case, Place::new(Side::Peer, case.name, arguments.folder.clone())).map(|_| ())
}
