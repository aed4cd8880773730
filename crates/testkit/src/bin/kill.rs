//! The kill harness as a program: kills processes over every structure, and shows that it would notice.
//!
//! It has one thread, as all that it kills are forks of it.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use crosstie_testkit::kill::{Kind, Options, Report, controls, now_ns, structures};

/// Kill processes over every shared structure, and look at what is left
#[derive(Parser)]
#[command(name = "kill")]
struct Args {
    /// Try only these structures, controls among them
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Try only these kinds of trials
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
    /// The seed of the first trial; chosen by the clock if not given
    #[arg(long)]
    seed: Option<u64>,
    /// How many processes meet their end, per structure and kind
    #[arg(long)]
    count: Option<u64>,
    /// The first and the last instruction boundary, for the kinds that step
    #[arg(long, num_args = 2, value_names = ["FIRST", "LAST"])]
    boundaries: Option<Vec<u64>>,
    /// Try no controls that were not named
    #[arg(long)]
    no_controls: bool,
    /// Try the controls alone
    #[arg(long, conflicts_with = "no_controls")]
    only_controls: bool,
    /// Say which structures are stepped through, and try nothing
    #[arg(long)]
    list: bool,
    /// Fifty times as many
    #[arg(long)]
    long: bool,
    /// How long nothing may move before it is called stuck, in milliseconds
    #[arg(long, default_value_t = 4000, value_name = "MS")]
    bound: u64,
    /// The folder for the trials
    #[arg(long, default_value_os_t = memory(), value_name = "DIR")]
    root: PathBuf,
}

/// A folder in memory, if there is one.
fn memory() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    if shared.is_dir() { shared } else { std::env::temp_dir() }
}

/// The slowest 1 % of recoveries may take longer than this; no others.
const RECOVERY_P99: Duration = Duration::from_millis(5);
/// How often a structure is tried before it is called slow: on a busy machine one run measures the others.
const TRIES: u32 = 5;
/// Code of a command that could not do what it is for on this machine.
const NOT_RUN: u8 = 77;

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        structures().iter().filter(|structure| structure.is_stepped()).for_each(|it| println!("{}", it.name()));
        return ExitCode::SUCCESS;
    }
    let seed = args.seed.unwrap_or_else(now_ns) % 1_000_000_000;
    println!("seed {seed}");
    match run(&args, seed) {
        Ok(Outcome { wrong: 0, whole: 0, not_run: Some(why) }) => {
            println!("NOT RUN: {why}");
            ExitCode::from(NOT_RUN)
        }
        Ok(Outcome { wrong: 0, .. }) => ExitCode::SUCCESS,
        Ok(Outcome { wrong, .. }) => {
            println!("{wrong} runs were not as they should be");
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("kill: {why}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Outcome {
    wrong: u64,
    whole: u64,
    not_run: Option<String>,
}

fn run(args: &Args, seed: u64) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let is_chosen = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let options = |kind: Kind| Options {
        seed,
        count: args.count.unwrap_or_else(|| kind.usual_count(args.long)),
        bound: Duration::from_millis(args.bound),
        root: args.root.clone(),
        boundaries: args.boundaries.as_ref().map_or((0, u64::MAX), |ends| (ends[0], ends[1].saturating_add(1))),
    };
    let kinds: Vec<Kind> =
        Kind::ALL.into_iter().filter(|kind| args.kind.is_empty() || args.kind.contains(kind)).collect();
    for control in controls() {
        let structure = control.structure.as_ref();
        // A control that was asked for by name is tried in any way; otherwise in the one in which it must be found.
        let chosen: Vec<Kind> = if args.only.is_empty() && args.no_controls {
            Vec::new()
        } else if args.only.is_empty() {
            kinds.iter().copied().filter(|kind| *kind == control.kind).collect()
        } else if is_chosen(structure.name()) {
            if args.kind.is_empty() { vec![control.kind] } else { kinds.clone() }
        } else {
            Vec::new()
        };
        for kind in chosen {
            let mut options = options(kind);
            options.count = args.count.unwrap_or(control.within);
            options.bound = options.bound.min(control.bound);
            let report = kind.run(structure, &options)?;
            println!("control  {report}");
            if let Some(why) = report.not_run {
                outcome.not_run = Some(why);
            } else if kind == control.kind && report.faults.keys().next() != control.finds.as_ref() {
                println!("    expected {}", control.finds.map_or("nothing", |fault| fault.name()));
                outcome.wrong += 1;
            } else {
                outcome.whole += 1;
            }
        }
    }
    for structure in structures().iter().filter(|structure| !args.only_controls && is_chosen(structure.name())) {
        for kind in kinds.iter().filter(|kind| options(**kind).count > 0 && (structure.is_stepped() || !kind.steps())) {
            let mut options = options(*kind);
            let mut report = kind.run(structure.as_ref(), &options)?;
            println!("         {report}");
            for _ in 1..TRIES {
                if !is_slow(&report, *kind) || !report.is_whole() {
                    break;
                }
                println!("    slower than {RECOVERY_P99:?}; once more, for others may have had the processors");
                options.seed += 1_000;
                report = kind.run(structure.as_ref(), &options)?;
                println!("         {report}");
            }
            judge(&report, *kind, args, &mut outcome);
        }
    }
    Ok(outcome)
}

/// Whether the slowest 1 % of recoveries took too long. Processes that are killed at a fixed point are too few to say.
fn is_slow(report: &Report, kind: Kind) -> bool {
    kind == Kind::Random && report.recovery(0.99).is_some_and(|p99| p99 > RECOVERY_P99)
}

fn judge(report: &Report, kind: Kind, args: &Args, outcome: &mut Outcome) {
    if let Some(why) = &report.not_run {
        outcome.not_run = Some(why.clone());
        return;
    }
    let slow = is_slow(report, kind);
    if slow {
        println!("    expected a recovery p99 of at most {RECOVERY_P99:?}");
    }
    if let Some(seed) = report.failing_seed {
        let name = report.structure;
        let again = if kind.steps() {
            format!("--boundaries {seed} {seed} --seed {}", report.seed)
        } else {
            format!("--seed {seed} --count 50")
        };
        println!("    again: cargo xtask kill -- --only {name} --kind {} {again} --bound {}", report.kind, args.bound);
    }
    if slow || !report.is_whole() {
        outcome.wrong += 1;
    } else {
        outcome.whole += 1;
    }
}
