//! `crosstie completions` and `crosstie man`: what a shell and a reader of manuals need, made from the command line itself.

use std::{fs, path::Path};

use clap::CommandFactory;
use serde_json::json;

use crate::{args::Cli, exit::Failure, output::Output};

pub(crate) fn completions(shell: clap_complete::Shell, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "crosstie", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    output.data(&json!({ "shell": shell.to_string(), "script": text }), || script)
}

pub(crate) fn man(directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory)?;
    Ok(clap_mangen::generate_to(Cli::command(), directory)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_man_page() {
        let directory = std::env::temp_dir().join(format!("crosstie-man-{}", std::process::id()));
        man(&directory).unwrap();
        for command in ["", "-pub", "-sub", "-serve", "-demo"] {
            assert!(directory.join(format!("crosstie{command}.1")).is_file(), "crosstie{command}.1");
        }
        fs::remove_dir_all(directory).unwrap();
    }
}
