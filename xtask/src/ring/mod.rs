//! The outer ring of tests: every stage of `xtask/budget.toml`, one after the other, each within its budget.
//!
//! A stage that is over its budget is told; over twice its budget it is stopped and has failed, for then it hangs or the number is
//! wrong. A stage that lacks something on this machine is `NOT RUN`, which under `CI=1` is a failure: on a machine that decides, a
//! check that was skipped is a check that was lost.

mod budget;
mod stage;
mod summary;

use std::env;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::failure::{Failure, Result};
use crate::root;

use budget::{Budget, Stage};
use stage::Runner;
use summary::Summary;

/// What `cargo xtask test` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run the big numbers: more seeds, longer fuzzing
    #[arg(long)]
    long: bool,
    /// Run this stage only; may be repeated
    #[arg(long, value_name = "STAGE")]
    only: Vec<String>,
    /// List the stages and their budgets
    #[arg(long)]
    list: bool,
}

/// Runs the stages that `args` choose and prints a table of them.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = root::workspace();
    let budget = Budget::read(&root)?;
    let stages = choose(&budget, args)?;
    if args.list {
        print!("{}", summary::list(&stages));
        return Ok(ExitCode::SUCCESS);
    }

    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| Failure::failed(format!("cannot watch for signals: {error}")))?;
    }
    let runner = Runner::new(&root, args.long, &interrupted)?;
    let mut summary = Summary::new(must_run_all(), is_coloured());
    let started = Instant::now();
    for stage in stages {
        summary.starts(stage);
        let outcome = runner.run(stage);
        summary.ends(stage, stage.budget(args.long), outcome);
        if interrupted.load(Ordering::Relaxed) {
            return Err(Failure::failed("interrupted"));
        }
    }
    Ok(summary.print(started.elapsed()))
}

fn choose<'a>(budget: &'a Budget, args: &Args) -> Result<Vec<&'a Stage>> {
    for name in &args.only {
        if !budget.stages.iter().any(|stage| stage.name == *name) {
            let known: Vec<_> = budget.stages.iter().map(|stage| stage.name.as_str()).collect();
            return Err(Failure::failed(format!("no stage is called `{name}`; there are: {}", known.join(", "))));
        }
    }
    let is_chosen = |stage: &&Stage| args.only.is_empty() || args.only.contains(&stage.name);
    Ok(budget.stages.iter().filter(is_chosen).collect())
}

/// Whether a stage that could not run counts as failed.
fn must_run_all() -> bool {
    env::var("CI").is_ok_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
