//! The README kept true: the commands in its `sh` blocks are run, each in a shell, and must end with 0.
//!
//! A command that never ends by itself, or that another stage runs in full, stands in a block marked `console` and is not run here.

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use crate::failure::{Failure, Result};
use crate::root;

/// Runs the commands of `README.md`.
pub(crate) fn run() -> Result<ExitCode> {
    let root = root::workspace();
    let path = root.join("README.md");
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
    let commands = commands(&text);
    if commands.is_empty() {
        return Err(Failure::failed("README.md shows no command in a `sh` block"));
    }
    for command in commands {
        println!("$ {command}");
        let status = Command::new("sh")
            .args(["-euc", &command])
            .current_dir(&root)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| Failure::failed(format!("cannot start sh: {error}")))?;
        if !status.success() {
            return Err(Failure::failed(format!("`{command}` of README.md ended with {status}")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The lines of the blocks fenced as `sh`; a comment after two blanks and a `#` is left out.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside && !command.is_empty() => {
                let command = command.split("  #").next().unwrap_or(command).trim();
                found.push(command.to_owned());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_the_lines_of_sh_blocks() {
        let text = "```console\nno\n```\n```sh\none  # said why\n\ntwo # three\n```\n`four`";
        assert_eq!(commands(text), ["one", "two # three"]);
    }
}
