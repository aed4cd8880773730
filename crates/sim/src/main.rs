//! `crosstie-sim`: runs seeds, and says which ones break a rule and how to replay them.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use clap::{Parser, ValueEnum};
use crosstie_sim::{Faults, Report, Sabotage, Scenario};

#[derive(Parser)]
#[command(
    name = "crosstie-sim",
    version,
    about = "Broker and clients over a faulty network, in virtual time, from one seed"
)]
struct Args {
    /// How many seeds to run
    #[arg(long, default_value_t = 1000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Run this seed alone, and twice, to see that it replays
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: print all that happened
    #[arg(long, requires = "seed")]
    verbose: bool,
    /// Which faults may happen: all, none, or some of cut, stall, kill, refuse, hang, restart, lame-duck
    #[arg(long, default_value_t = Faults::all())]
    faults: Faults,
    /// Break one promise on purpose, to see who notices
    #[arg(long)]
    sabotage: Option<Sabotage>,
    /// Sabotage each rule in turn, and see that its judge notices
    #[arg(long, conflicts_with_all = ["seed", "sabotage"])]
    controls: bool,
    /// How many seeds run at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let scenario = Scenario { faults: args.faults.clone(), sabotage: args.sabotage, ..Scenario::default() };
    let is_clean = match args.seed {
        Some(seed) => replay(&args, &scenario, seed),
        None if args.controls => controls(&scenario),
        None => series(&args, scenario),
    };
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One seed, in full. False if it broke a rule.
fn replay(args: &Args, scenario: &Scenario, seed: u64) -> bool {
    let scenario = Scenario { log_lines: if args.verbose { usize::MAX } else { 40 }, ..scenario.clone() };
    let report = scenario.run(seed);
    report.log.tail().for_each(|line| println!("{line}"));
    for violation in &report.violations {
        println!("seed {seed} broke {violation}");
    }
    let again = scenario.run(seed).hash;
    println!("seed {seed}: {} broken rules, log {:016x}, replayed {again:016x}", report.violations.len(), report.hash);
    for (what, count) in &report.counts {
        println!("  {what}: {count}");
    }
    report.violations.is_empty() && again == report.hash
}

/// How many seeds a control has to show what it breaks.
const CONTROL_SEEDS: u64 = 40;

/// Every sabotage, until its judge notices. False if one goes unnoticed.
fn controls(scenario: &Scenario) -> bool {
    let mut unnoticed = 0;
    for sabotage in Sabotage::value_variants() {
        let scenario = Scenario { sabotage: Some(*sabotage), ..scenario.clone() };
        let is_noticed = |seed: &u64| match sabotage.breaks() {
            Some(rule) => scenario.run(*seed).violations.iter().any(|violation| violation.rule == rule),
            None => scenario.run(*seed).hash != scenario.run(*seed).hash,
        };
        match (0..CONTROL_SEEDS).find(is_noticed) {
            Some(seed) => println!("{sabotage:?}: noticed in seed {seed}"),
            None => {
                println!("{sabotage:?}: NOT noticed in {CONTROL_SEEDS} seeds");
                unnoticed += 1;
            }
        }
    }
    unnoticed == 0
}

/// What a series has shown so far.
#[derive(Default)]
struct Tally {
    failed: Vec<u64>,
    counts: BTreeMap<String, u64>,
    /// Over the logs of all seeds, whatever their order.
    hash: u64,
}

impl Tally {
    fn take(&mut self, args: &Args, report: Report) {
        self.hash ^= report.hash.rotate_left((report.seed % 64) as u32);
        for (what, count) in report.counts {
            *self.counts.entry(what).or_default() += count;
        }
        let Some(first) = report.violations.first() else { return };
        self.failed.push(report.seed);
        let faults = if args.faults == Faults::all() { String::new() } else { format!(" --faults {}", args.faults) };
        println!("seed {} broke {first}", report.seed);
        println!("  replay: cargo run --release -p crosstie-sim -- --seed {}{faults} --verbose", report.seed);
    }
}

/// Many seeds, several at a time. False if one of them broke a rule.
fn series(args: &Args, scenario: Scenario) -> bool {
    let (next, tally) = (AtomicU64::new(args.from), Mutex::new(Tally::default()));
    let end = args.from.saturating_add(args.seeds);
    thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    // Relaxed is enough: each number is taken once, whatever the order.
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let report = scenario.run(seed);
                    tally.lock().unwrap_or_else(PoisonError::into_inner).take(args, report);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (what, count) in &tally.counts {
        println!("{what}: {count}");
    }
    println!("{} seeds, {} failed, log {:016x}", args.seeds, tally.failed.len(), tally.hash);
    tally.failed.is_empty()
}
