//! `crosstie completions` and `crosstie man`: what a shell and a reader of manuals need, made from the command line itself.

use std::{fs, path::Path};

use clap::CommandFactory;
use serde_json::json;

use crate::{
    args::Cli,
    exit::{Code, Failure},
    output::Output,
};

pub(crate) fn completions(shell: clap_complete::Shell, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(&Cli::command()), "crosstie", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    output.data(&json!({ "shell": shell.to_string(), "script": text }), || script)
}

/// The command as its help shows it: what is hidden there is offered by no shell.
fn visible(command: &clap::Command) -> clap::Command {
    clap::Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .disable_help_flag(command.is_disable_help_flag_set())
        .disable_help_subcommand(command.is_disable_help_subcommand_set())
        .disable_version_flag(command.is_disable_version_flag_set() || command.get_version().is_none())
        .version(command.get_version().unwrap_or_default().to_owned())
        .visible_aliases(command.get_visible_aliases().map(str::to_owned).collect::<Vec<_>>())
        .args(command.get_arguments().filter(|argument| !argument.is_hide_set()))
        .subcommands(command.get_subcommands().filter(|each| !each.is_hide_set()).map(visible))
}

pub(crate) fn man(directory: &Path, output: &Output) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(Code::Failure, "io", format!("cannot write man pages into '{}': {error}", directory.display()))
    };
    fs::create_dir_all(directory).map_err(cannot)?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(cannot)?;
    let mut pages: Vec<String> = fs::read_dir(directory)
        .map_err(cannot)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("crosstie") && name.ends_with(".1")
        })
        .map(|path| path.display().to_string())
        .collect();
    pages.sort_unstable();
    output.data(&json!({ "pages": pages }), || format!("{}\n", pages.join("\n")).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Colour;

    #[test]
    fn shells_offer_what_the_help_shows_and_nothing_else() {
        let script = |mut command: clap::Command| {
            let mut script = Vec::new();
            clap_complete::generate(clap_complete::Shell::Bash, &mut command, "crosstie", &mut script);
            String::from_utf8(script).unwrap()
        };
        let (all, shown) = (script(Cli::command()), script(visible(&Cli::command())));
        assert!(all.contains(" --far ") && !shown.contains("--far"));
        for word in ["--compare", "--datagrams", "--tee-back", "completions", "--json", "--color", "--help"] {
            assert!(shown.contains(word), "{word}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_every_option_says_what_it_is_for() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.starts_with("Examples:\n  crosstie "), "{name} has no examples");
            assert!(after.contains(&format!("crosstie {name}")), "the examples of {name} are of something else");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{name}: {} has no help", argument.get_id());
            }
        }
    }

    #[test]
    fn every_command_is_completed_in_every_shell() {
        use clap::ValueEnum as _;
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "crosstie", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn every_command_has_a_man_page() {
        let directory = std::env::temp_dir().join(format!("crosstie-man-{}", std::process::id()));
        man(&directory, &Output::new(false, Colour::Never)).unwrap();
        assert!(directory.join("crosstie.1").is_file());
        for command in Cli::command().get_subcommands() {
            let page = format!("crosstie-{}.1", command.get_name());
            assert!(directory.join(&page).is_file(), "{page}");
        }
        fs::remove_dir_all(directory).unwrap();
    }
}
