//! Other people's tests, and our raw-protocol corpus, run against our broker under the name `nats-server`.

mod async_nats;
mod corpus;
mod expect;
mod namespace;
mod nats_py;
mod run;
mod trial;

use std::process::ExitCode;
use std::time::Instant;

use clap::ValueEnum;

use self::trial::Trial;
use crate::failure::{Failure, Result};

/// The arguments of `cargo xtask suites`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which to run; all without one
    #[arg(value_enum)]
    suites: Vec<Suite>,
    /// The server under test: a program with nats-server's command line, or the name of a tool such as nats-server-2.15.1.
    /// Without it, `crosstie` is built and taken
    #[arg(long)]
    server: Option<String>,
    /// Run the tests that are left out too, and judge nothing
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// The Rust client's tests
    AsyncNats,
    /// The Python client's tests
    NatsPy,
    /// Our own raw-protocol cases, each compared with nats-server's answer
    Corpus,
}

/// Runs suites one after the other; the first that disagrees with what is pinned ends it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let wanted = if args.suites.is_empty() { Suite::value_variants() } else { &args.suites };
    let trial = Trial::new(args.server.as_deref(), args.all)?;
    let mut outcome = Ok(());
    for &suite in wanted {
        let started = Instant::now();
        let ended = match suite {
            Suite::AsyncNats => async_nats::run(&trial),
            Suite::NatsPy => nats_py::run(&trial),
            Suite::Corpus => corpus::run(&trial),
        };
        println!("{suite:?} took {:.0} s", started.elapsed().as_secs_f64());
        if let Err(failure) = ended {
            // A disagreement weighs more than a check that could not run.
            println!("{suite:?}: {failure:?}");
            if !matches!(outcome, Err(Failure::Failed(_))) {
                outcome = Err(failure);
            }
        }
    }
    outcome.map(|()| ExitCode::SUCCESS)
}
