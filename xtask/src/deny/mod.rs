//! Checks of what we depend on, as `deny.toml` words them: licences, duplicates, banned crates, sources.
//!
//! `cargo deny` does it where it is installed. Building it takes longer than every other check together, so without it this module
//! reads the same file and checks the same four things over `cargo metadata`. Advisories are no part of either: their database is
//! fetched from the network, and a check that needs the network cannot be held by everyone who builds from a clone.

mod graph;
mod licence;
mod policy;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::failure::{Failure, Result};
use crate::root;

use policy::Policy;

/// Checks the dependencies of the workspace.
pub(crate) fn run() -> Result<ExitCode> {
    let root = root::workspace();
    if has_cargo_deny() {
        return with_cargo_deny(&root);
    }
    let policy = Policy::read(&root)?;
    let packages = graph::read(&root, policy.scope())?;
    let problems = policy.problems(&packages);
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() {
        println!("deny: {} crates from elsewhere, nothing to say", packages.len());
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::failed(format!("deny: {} to put right; see deny.toml", problems.len())))
    }
}

fn has_cargo_deny() -> bool {
    let version = cargo().args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn with_cargo_deny(root: &Path) -> Result<ExitCode> {
    let status = cargo()
        .args(["deny", "--locked", "--offline", "check", "bans", "licenses", "sources"])
        .current_dir(root)
        .status()
        .map_err(|error| Failure::failed(format!("cannot start cargo deny: {error}")))?;
    if status.success() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::failed(format!("cargo deny ended with {status}")))
    }
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
