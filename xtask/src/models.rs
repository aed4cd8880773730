//! Models of what is shared between processes, under loom and shuttle, and the mutation run that shows what they are worth.
//!
//! The atomics of `crates/shm` come through one door, behind which loom or shuttle stands in a build of its own. Faults (a weaker
//! ordering, a wake or a flag left out) are compiled into that build and chosen by the environment, so one build serves all mutants.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use serde::Deserialize;
use toml::from_str;

use crate::{
    failure::{Failure, Result},
    root,
};

/// What `cargo xtask models` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Random schedules in all, under shuttle
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    schedules: u64,
    /// The most preemptions that loom tries; as each model has it if not given
    #[arg(long, value_name = "N")]
    preemptions: Option<u32>,
}

/// What `cargo xtask mutants` takes.
#[derive(clap::Args)]
pub(crate) struct MutantArgs {
    /// All of them, and look whether those that survive still do; otherwise the most telling
    #[arg(long)]
    all: bool,
}

/// Whose models those of the locks are.
const LOCKS: &str = "lock::";
/// Where the mutants stand.
const LIST: &str = "crates/shm/src/lock/protocol/mutants.toml";
/// Where the faults stand that a build can have.
const FAULTS: &str = "crates/shm/src/lock/protocol/faults.rs";

/// Runs every model.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = root::workspace();
    let loom = build(&root, "loom")?;
    let mut command = Command::new(&loom);
    if let Some(preemptions) = args.preemptions {
        command.env("LOOM_MAX_PREEMPTIONS", preemptions.to_string());
    }
    pass(&mut command, "loom")?;
    let shuttle = build(&root, "shuttle")?;
    let models = tests(&shuttle)?.len().max(1) as u64;
    let each = args.schedules.div_ceil(models);
    println!("shuttle: {models} models, {each} schedules each");
    let mut command = Command::new(&shuttle);
    command.arg(LOCKS).env("CROSSTIE_SCHEDULES", each.to_string()).env("SHUTTLE_SILENCE_WARNINGS", "1");
    pass(&mut command, "shuttle")?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
struct Mutant {
    fault: String,
    /// The model that finds it.
    killer: Option<String>,
    /// Why none does.
    survives: Option<String>,
    /// Run it each time.
    #[serde(default)]
    telling: bool,
}

/// Breaks one thing after the other and looks whether a model notices.
pub(crate) fn run_mutants(args: &MutantArgs) -> Result<ExitCode> {
    let root = root::workspace();
    let read =
        |path: &str| fs::read_to_string(root.join(path)).map_err(|error| Failure::failed(format!("{path}: {error}")));
    let list: List = from_str(&read(LIST)?).map_err(|error| Failure::failed(format!("{LIST}: {error}")))?;
    let mut wrong = compare(&list, &read(FAULTS)?);
    let loom = build(&root, "loom")?;
    let models = tests(&loom)?;
    let mut killed = 0;
    for mutant in list.mutant.iter().filter(|mutant| args.all || mutant.telling) {
        let fault = &mutant.fault;
        match &mutant.killer {
            Some(killer) => match models.iter().find(|model| model.ends_with(killer.as_str())) {
                None => wrong.push(format!("{fault}: there is no model `{killer}`")),
                Some(model) if passes(&loom, model, fault)? => wrong.push(format!("{fault}: survives `{killer}`")),
                Some(_) => killed += 1,
            },
            None => {
                for model in &models {
                    if !passes(&loom, model, fault)? {
                        wrong.push(format!("{fault}: is said to survive, and `{model}` finds it"));
                    }
                }
            }
        }
    }
    if wrong.is_empty() {
        println!("{killed} mutants found by their models");
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::failed(wrong.join("\n")))
}

/// Every fault stands in the list once, with a killer or with a reason.
fn compare(list: &List, faults: &str) -> Vec<String> {
    let known: Vec<_> = faults
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(" = \""))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(char::is_alphanumeric))
        .collect();
    let mut wrong = Vec::new();
    for name in &known {
        if list.mutant.iter().filter(|mutant| mutant.fault == *name).count() != 1 {
            wrong.push(format!("{name}: expected once in {LIST}"));
        }
    }
    for mutant in &list.mutant {
        if !known.contains(&mutant.fault.as_str()) {
            wrong.push(format!("{}: there is no such fault in {FAULTS}", mutant.fault));
        }
        if mutant.killer.is_some() == mutant.survives.is_some() {
            wrong.push(format!("{}: expected either a killer or a reason to survive", mutant.fault));
        }
    }
    wrong
}

/// Builds the tests of the shared-memory plane for models; the program.
fn build(root: &Path, with: &str) -> Result<PathBuf> {
    let flags = if with == "shuttle" { "--cfg loom --cfg shuttle" } else { "--cfg loom" };
    let output = Command::new("cargo")
        .args(["test", "--locked", "-p", "crosstie-shm", "--lib", "--no-run", "--message-format=json", "--target-dir"])
        .arg(root.join("target/models").join(with))
        .env("RUSTFLAGS", flags)
        // A model is run millions of times.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::failed(format!("cargo: {error}")))?;
    if !output.status.success() {
        return Err(Failure::failed(format!("the models do not build under {with}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let program =
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
            let is_it = message["target"]["name"] == "crosstie_shm" && message["profile"]["test"] == true;
            message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
        });
    program.ok_or_else(|| Failure::failed("expected cargo to name the program of the models"))
}

/// The models of the locks.
fn tests(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program)
        .args(["--list", LOCKS])
        .output()
        .map_err(|error| Failure::failed(format!("{}: {error}", program.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

fn pass(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().map_err(|error| Failure::failed(format!("{what}: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::failed(format!("a model fails under {what}"))) }
}

/// Whether `model` passes with `fault`. A model that loom stops with an abort has found it too.
fn passes(program: &Path, model: &str, fault: &str) -> Result<bool> {
    let status = Command::new(program)
        .args(["--exact", "-q", model])
        .env("CROSSTIE_FAULT", fault)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| Failure::failed(format!("{}: {error}", program.display())))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULTS_TEXT: &str = "faults! {\n    Take = \"the Acquire\",\n    Wake = \"the wake\",\n}\n";

    fn list(text: &str) -> List {
        from_str(text).unwrap()
    }

    #[test]
    fn every_fault_stands_in_the_list_once_with_a_killer_or_a_reason() {
        let good = "[[mutant]]\nfault = \"Take\"\nkiller = \"x\"\n[[mutant]]\nfault = \"Wake\"\nsurvives = \"y\"\n";
        assert_eq!(compare(&list(good), FAULTS_TEXT), [""; 0]);
        let bad = "[[mutant]]\nfault = \"Take\"\n[[mutant]]\nfault = \"Gone\"\nkiller = \"x\"\n";
        assert_eq!(compare(&list(bad), FAULTS_TEXT).len(), 3);
    }
}
