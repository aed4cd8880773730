//! The README kept true: what its code blocks show is run, and prints what they say.
//!
//! The lines of an `sh` block are commands that end by themselves with 0. A `console` block of `crosstie` commands is one
//! terminal; all of them together are a session, run in the order of the page. Any other `console` block shows commands that never end or that another stage runs in full: they are asked
//! for their help, so that they exist at least.

mod blocks;
mod session;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use crate::failure::{Failure, Result};
use crate::root;

use blocks::{Block, Line, blocks};

/// Runs the code blocks of `README.md`.
pub(crate) fn run() -> Result<ExitCode> {
    let path = root::workspace().join("README.md");
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
    let blocks = blocks(&text);
    if blocks.is_empty() {
        return Err(Failure::failed("README.md shows no command in an `sh` or `console` block"));
    }
    let mut terminals = Vec::new();
    for block in blocks {
        match block {
            Block::Script(commands) => commands.iter().try_for_each(|command| shell(command))?,
            Block::Console(lines) if lines.iter().all(Line::is_of_a_session) => terminals.push(lines),
            Block::Console(lines) => {
                for line in &lines {
                    if let Line::Command(text) = line {
                        shell(&format!("{text} --help > /dev/null"))?;
                    }
                }
            }
        }
    }
    if !terminals.is_empty() {
        session::run(&terminals, &build()?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shell(command: &str) -> Result<()> {
    println!("$ {command}");
    let status = Command::new("sh")
        .args(["-euc", command])
        .current_dir(root::workspace())
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::failed(format!("cannot start sh: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::failed(format!("`{command}` of README.md ended with {status}")))
}

/// Builds our own binary, and names the folder it is in.
fn build() -> Result<PathBuf> {
    shell("cargo build --release --quiet --locked --package crosstie-cli")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(root::workspace().join(target).join("release"))
}
