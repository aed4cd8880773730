//! Kills processes over every shared structure: builds the harness and runs it, first for what needs all processors, then share by share.

use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::{Failure, Result};
use crate::root;

/// What `cargo xtask kill` takes. Anything but `--long` and `--seed` goes to the harness as it is, which then runs once.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fifty times as many kills
    #[arg(long)]
    long: bool,
    /// The seed of every first trial; chosen by the clock if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Further arguments of the harness, `--help` among them, such as `--only mutex --kind steps`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    harness: Vec<String>,
}

/// At random instants, where all processors are busy.
const RANDOM: &[&str] = &["random", "points", "ends", "namespaces"];
/// At instruction boundaries, where one processor is enough for each share.
const STEPPED: &[&str] = &["steps", "contended", "recovery", "joining"];
/// Structures are shared out among so many at a time.
const SHARES: u64 = 2;
/// What a command exits with that could not do what it is for on this machine.
const NOT_RUN: i32 = 77;

/// Builds the harness and runs it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = root::workspace();
    let mut build = Command::new("cargo");
    build.args([
        "build",
        "--locked",
        "--release",
        "--quiet",
        "-p",
        "crosstie-testkit",
        "--features",
        "kill",
        "--bin",
        "kill",
    ]);
    let built =
        build.current_dir(&root).status().map_err(|error| Failure::failed(format!("cannot run cargo: {error}")))?;
    if !built.success() {
        return Err(Failure::failed("the kill harness does not build"));
    }

    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 1_000_000;
    let seed = args.seed.unwrap_or(clock * 2);
    let program = root.join("target/release/kill");
    let start = |seed: u64, words: &[&str], kinds: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("--seed").arg(seed.to_string()).args(words).args(&args.harness);
        command.args(kinds.iter().flat_map(|kind| ["--kind", kind]));
        if args.long {
            command.arg("--long");
        }
        command.spawn().map_err(|error| Failure::failed(format!("cannot run {}: {error}", program.display())))
    };

    let mut running = Vec::new();
    let mut codes = Vec::new();
    if args.harness.is_empty() {
        codes.push(ended(start(seed, &[], RANDOM)?)?);
        for share in 0..SHARES {
            // An even seed stays on one processor, an odd one on the next.
            let (at, of) = (share.to_string(), SHARES.to_string());
            let controls: &[&str] = if share == 0 { &[] } else { &["--no-controls"] };
            running.push(start(seed / 2 * 2 + share, &[controls, &["--share", &at, &of]].concat(), STEPPED)?);
        }
    } else {
        running.push(start(seed, &[], &[])?);
    }
    for child in running {
        codes.push(ended(child)?);
    }
    if let Some(code) = codes.iter().find(|code| ![0, NOT_RUN].contains(code)) {
        return Err(Failure::failed(format!(
            "kill: something was not as it should be (code {code}); the lines above say what, and how to see it again"
        )));
    }
    let not_run = codes.iter().all(|code| *code == NOT_RUN);
    Ok(if not_run { ExitCode::from(77) } else { ExitCode::SUCCESS })
}

fn ended(mut child: std::process::Child) -> Result<i32> {
    let status = child.wait().map_err(|error| Failure::failed(format!("cannot wait for the harness: {error}")))?;
    Ok(status.code().unwrap_or(1))
}
