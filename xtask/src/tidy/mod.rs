//! Rules of the project that the compiler does not check. One file per rule; each has a bad tree as its control.

mod banned;
mod circles;
mod dead;
mod dependencies;
mod floors;
mod guarantees;
mod headers;
mod links;
mod size;
mod tree;

use std::process::ExitCode;

use crate::failure::{Failure, Result};
use crate::root;

use tree::{Finding, Tree};

/// What `cargo xtask tidy` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the long files and functions of today into xtask/ratchet.toml instead of checking them
    #[arg(long)]
    ratchet: bool,
}

/// Checks the whole tree and prints every finding.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let tree = Tree::read(&root::workspace())?;
    if args.ratchet {
        size::write_ratchet(&tree)?;
    }
    let findings = findings(&tree);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing to say", tree.len());
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::failed(format!("tidy: {} to put right", findings.len())))
    }
}

/// Everything that breaks a rule, rule by rule.
fn findings(tree: &Tree) -> Vec<Finding> {
    const RULES: [fn(&Tree) -> Vec<Finding>; 9] = [
        floors::check,
        circles::check,
        headers::check,
        dead::check,
        dependencies::check,
        links::check,
        guarantees::check,
        banned::check,
        size::check,
    ];
    RULES.iter().flat_map(|rule| rule(tree)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plain `cargo test` holds the rules, without the `cargo xtask` ring.
    #[test]
    fn the_project_keeps_its_rules() {
        let tree = Tree::read(&root::workspace()).expect("the project can be read");
        let findings = findings(&tree);
        let told: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "cargo xtask tidy would say:\n{}", told.join("\n"));
    }
}
