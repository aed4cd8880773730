//! Models of what is shared between processes, under loom and shuttle, and the mutation run that shows what they are worth.
//!
//! The atomics of `crates/shm` come through one door, behind which loom or shuttle stands in a build of its own. Faults (a weaker
//! ordering, a wake or a flag left out) are compiled into that build and chosen by the environment, so one build serves all mutants.

mod mutants;
mod program;

pub(crate) use mutants::{Args as MutantArgs, run as run_mutants};

use std::{process::ExitCode, time::Instant};

use crate::{
    failure::{Failure, Result},
    root,
};

use program::{Program, at_once};

/// What `cargo xtask models` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Random schedules of each model, under shuttle
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    schedules: u64,
    /// So many preemptions more under loom than each model has: a minute becomes a quarter of an hour by one
    #[arg(long, default_value_t = 0, value_name = "N")]
    more_preemptions: u32,
}

/// Runs every model, each in a process of its own, as many at a time as there are processors.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = root::workspace();
    let mut wrong = Vec::new();
    for with in ["loom", "shuttle"] {
        let program = Program::build(&root, with)?;
        if with == "shuttle" {
            println!("shuttle: {} random schedules of each model", args.schedules);
        }
        let variables = [
            ("CROSSTIE_SCHEDULES", args.schedules.to_string()),
            ("CROSSTIE_MORE_PREEMPTIONS", args.more_preemptions.to_string()),
        ];
        let outcomes = at_once(&program.models, |model| {
            let started = Instant::now();
            let failure = program.failure_of(model, &variables)?;
            println!("{with:<8} {:>6.1} s  {model}", started.elapsed().as_secs_f64());
            Ok(failure)
        });
        for (model, outcome) in program.models.iter().zip(outcomes) {
            if let Some(text) = outcome? {
                wrong.push(format!("{model} fails under {with}:\n{text}"));
            }
        }
    }
    if wrong.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(Failure::failed(wrong.join("\n"))) }
}
