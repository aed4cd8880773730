//! The mutation run: breaks one thing after the other and looks whether a model notices.

use std::{fs, process::ExitCode, time::Instant};

use serde::Deserialize;
use toml::from_str;

use crate::{
    failure::{Failure, Result},
    root,
};

use super::program::{Program, at_once};

/// What `cargo xtask mutants` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Look also whether those that survive still do, which takes all models for each
    #[arg(long)]
    all: bool,
}

/// Where mutants stand, where the faults that a build can have, and by what one is chosen.
struct Kind {
    list: &'static str,
    faults: &'static str,
    chosen_by: &'static str,
    /// Whether this model has such a fault in it.
    concerns: fn(&str) -> bool,
}

const KINDS: [Kind; 2] = [
    Kind {
        list: "crates/shm/src/lock/protocol/mutants.toml",
        faults: "crates/shm/src/lock/protocol/faults.rs",
        chosen_by: "CROSSTIE_FAULT",
        concerns: |model| model.starts_with("lock::"),
    },
    Kind {
        list: "crates/shm/src/mutants.toml",
        faults: "crates/shm/src/faults.rs",
        chosen_by: "CROSSTIE_RING_FAULT",
        concerns: |model| !model.starts_with("lock::"),
    },
];

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
}

/// Breaks one thing after the other and looks whether a model notices.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = root::workspace();
    let read =
        |path: &str| fs::read_to_string(root.join(path)).map_err(|error| Failure::failed(format!("{path}: {error}")));
    let mut wrong = Vec::new();
    let mut chosen = Vec::new();
    for kind in &KINDS {
        let list: List =
            from_str(&read(kind.list)?).map_err(|error| Failure::failed(format!("{}: {error}", kind.list)))?;
        wrong.extend(compare(kind, &list, &read(kind.faults)?));
        let mutants = list.mutant.into_iter().filter(|mutant| args.all || mutant.killer.is_some());
        chosen.extend(mutants.map(|mutant| (kind, mutant)));
    }
    let program = Program::build(&root, "loom")?;
    let found = at_once(&chosen, |(kind, mutant)| {
        let started = Instant::now();
        let complaint = judge(&program, kind, mutant)?;
        println!("{:>6.1} s  {}", started.elapsed().as_secs_f64(), mutant.fault);
        Ok(complaint)
    });
    for complaint in found {
        wrong.extend(complaint?);
    }
    if wrong.is_empty() {
        let killed = chosen.iter().filter(|(_, mutant)| mutant.killer.is_some()).count();
        println!("{killed} mutants found by their models, {} explained", chosen.len() - killed);
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::failed(wrong.join("\n")))
}

/// What is not as the list says.
fn judge(program: &Program, kind: &Kind, mutant: &Mutant) -> Result<Vec<String>> {
    let fault = &mutant.fault;
    let finds =
        |model: &str| Ok::<_, Failure>(program.failure_of(model, &[(kind.chosen_by, fault.clone())])?.is_some());
    let Some(killer) = &mutant.killer else {
        let mut wrong = Vec::new();
        for model in program.models.iter().filter(|model| (kind.concerns)(model)) {
            if finds(model)? {
                wrong.push(format!("{fault}: is said to survive, and `{model}` finds it"));
            }
        }
        return Ok(wrong);
    };
    Ok(match program.models.iter().find(|model| model.ends_with(killer.as_str())) {
        None => vec![format!("{fault}: there is no model `{killer}`")],
        Some(model) if finds(model)? => Vec::new(),
        Some(_) => vec![format!("{fault}: survives `{killer}`")],
    })
}

/// Every fault stands in the list once, with a killer or with a reason.
fn compare(kind: &Kind, list: &List, faults: &str) -> Vec<String> {
    let known: Vec<_> = faults
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(" = \""))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(char::is_alphanumeric))
        .collect();
    let mut wrong = Vec::new();
    for name in &known {
        if list.mutant.iter().filter(|mutant| mutant.fault == *name).count() != 1 {
            wrong.push(format!("{name}: expected once in {}", kind.list));
        }
    }
    for mutant in &list.mutant {
        if !known.contains(&mutant.fault.as_str()) {
            wrong.push(format!("{}: there is no such fault in {}", mutant.fault, kind.faults));
        }
        if mutant.killer.is_some() == mutant.survives.is_some() {
            wrong.push(format!("{}: expected either a killer or a reason to survive", mutant.fault));
        }
    }
    wrong
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
        assert_eq!(compare(&KINDS[0], &list(good), FAULTS_TEXT), [""; 0]);
        let bad = "[[mutant]]\nfault = \"Take\"\n[[mutant]]\nfault = \"Gone\"\nkiller = \"x\"\n";
        assert_eq!(compare(&KINDS[0], &list(bad), FAULTS_TEXT).len(), 3);
    }
}
