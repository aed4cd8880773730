//! A command run in silence, whose last words are the reason when it fails.

use std::io::ErrorKind;
use std::process::Command;

use crate::failure::{Failure, Result};

/// Runs a command to its end and gives what it printed.
///
/// # Errors
///
/// `NotRun`, with the last line the command wrote, if it is not installed or fails: it is a tool that this machine lacks.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::not_run(format!("{program} is not installed")),
        _ => Failure::not_run(format!("{program} does not start: {error}")),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    if told.contains("DO NOT MATCH THE HASHES") {
        return Err(Failure::failed(format!("{program} got a package with another hash:\n{told}")));
    }
    let last = told
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| line.to_ascii_lowercase().starts_with("error"))
        .or_else(|| told.lines().rev().map(str::trim).find(|line| !line.is_empty()))
        .unwrap_or("it gave no reason");
    Err(Failure::not_run(format!("{program} failed: {last}")))
}
