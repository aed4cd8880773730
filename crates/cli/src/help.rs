//! The command line as its help shows it: the examples first, right below what a command is for.

use clap::{Command, CommandFactory, FromArgMatches, builder::Resettable};

use crate::args::Cli;

/// What is asked of the command, or what is wrong with it.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&examples_first(Cli::command()).try_get_matches()?)
}

const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// Moves the examples, with which the text after the help begins, to its front. Man pages have them where a reader of those looks.
pub(crate) fn examples_first(command: Command) -> Command {
    let command = command.mut_subcommands(examples_first);
    let Some(text) = command.get_after_help().map(ToString::to_string).filter(|text| text.starts_with("Examples:"))
    else {
        return command;
    };
    let (examples, more) = text.split_once("\n\n").unwrap_or((&text, ""));
    let command = command.help_template(TEMPLATE).before_help(examples.to_owned());
    match more {
        "" => command.after_help(Resettable::Reset),
        more => command.after_help(more.to_owned()),
    }
}
