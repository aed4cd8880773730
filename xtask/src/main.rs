//! The project's own chores: tidy, test rings, fuzzing, tools.

#![forbid(unsafe_code)]

mod contract;
mod deny;
mod failure;
mod fuzz;
mod hostile;
mod kill;
mod models;
mod readme;
mod ring;
mod root;
mod rust;
mod suites;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

fn main() -> ExitCode {
    let outcome = match Chores::parse().chore {
        Chore::Tidy(args) => tidy::run(&args),
        Chore::Test(args) => ring::run(&args),
        Chore::Fuzz(args) => fuzz::run(&args),
        Chore::Kill(args) => kill::run(&args),
        Chore::Models(args) => models::run(&args),
        Chore::Mutants(args) => models::run_mutants(&args),
        Chore::Hostile(args) => hostile::run(&args),
        Chore::Deny => deny::run(),
        Chore::Readme => readme::run(),
        Chore::Contract => contract::run(),
        Chore::Suites(args) => suites::run(&args),
        Chore::Tools(args) => tools::run(&args),
    };
    outcome.unwrap_or_else(|failure| failure.report())
}

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own chores")]
struct Chores {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the rules that the compiler does not: floors, circles, headers, links, guarantees
    Tidy(tidy::Args),
    /// Run every check that CI must hold, stage by stage
    Test(ring::Args),
    /// Fuzz the parsers, guided by coverage, on the stable toolchain
    Fuzz(fuzz::Args),
    /// Kill processes over every shared structure, and look at what is left
    Kill(kill::Args),
    /// Run the models of what processes share, under loom and shuttle
    Models(models::Args),
    /// Break what processes share in one place after the other and look whether a model notices
    Mutants(models::MutantArgs),
    /// Attack the built server with hostile clients while honest ones work
    Hostile(hostile::Args),
    /// Check the licences, sources and duplicates of what we depend on
    Deny,
    /// Run the commands that README.md shows
    Readme,
    /// Fetch the foreign programs and sources that checks need into target/tools
    Tools(tools::Args),
    /// Try what our client promises against real nats-servers, old and new
    Contract,
    /// Run other clients' tests and our raw-protocol corpus against our broker
    Suites(suites::Args),
}
