//! `crosstie serve`: its flags are made from the table of configuration keys.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use crosstie_server::{KEYS, Layers, Loaded, commented, main_serve, values};
use serde_json::{Value, json};

use crate::{exit::Failure, output::Output};

const EXAMPLES: &str = "Examples:
  crosstie serve
  crosstie serve --config crosstie.toml
  crosstie serve --print-config > crosstie.toml

A flag beats an environment variable, that beats the file, that beats the
default. What has no flag, because others would see it or it is long:";

/// What `serve` was given.
pub(crate) struct ServeArgs {
    config: Option<PathBuf>,
    print_config: bool,
    flags: Vec<(String, String)>,
}

impl Args for ServeArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config").long("config").short('c').value_name("FILE").env("CROSSTIE_CONFIG");
        let print = Arg::new("print-config").long("print-config").action(ArgAction::SetTrue);
        let command = command
            .after_help(without_flag())
            .arg(config.help("Configuration in TOML").value_parser(clap::value_parser!(PathBuf)))
            .arg(print.help(
                "Print the configuration in force, each key with what it means and where it comes from, and end",
            ));
        KEYS.iter().filter_map(|key| Some((key, key.flag()?))).fold(command, |command, (key, flag)| {
            let help = key.doc.split(". ").next().unwrap_or(key.doc).trim_end_matches('.').replace('`', "");
            let (name, form) = value_of(key.form);
            let default = key.default_word().map(|default| format!(" [default: {default}]")).unwrap_or_default();
            let arg = Arg::new(key.path).long(flag).value_name(name);
            let arg = arg.help(format!("{help}{form}{default} [env: {}]", key.variable()));
            // That something be so may be said by the flag alone.
            let is_truth = key.form == "true or false";
            command.arg(if is_truth { arg.num_args(0..=1).default_missing_value("true") } else { arg })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |path: &str| matches.get_one::<String>(path).map(|value| (path.to_owned(), value.clone()));
        Ok(Self {
            config: matches.get_one::<PathBuf>("config").cloned(),
            print_config: matches.get_flag("print-config"),
            flags: KEYS.iter().filter(|key| key.flag().is_some()).filter_map(|key| given(key.path)).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What a value of this form is called, and what has to be said of it besides.
fn value_of(form: &str) -> (&'static str, String) {
    match form {
        "path" => ("PATH", String::new()),
        "text" => ("TEXT", String::new()),
        "number" => ("NUMBER", String::new()),
        "true or false" => ("BOOL", String::new()),
        "host:port" => ("HOST:PORT", String::new()),
        _ if form.starts_with("time with") => ("DURATION", String::new()),
        _ if form.starts_with("size") => ("SIZE", String::new()),
        _ if form.starts_with("list of ") => {
            ("ENDPOINTS", format!(": {}, with commas", form.trim_start_matches("list of ")))
        }
        _ => ("VALUE", format!(": {form}")),
    }
}

pub(crate) fn run(args: &ServeArgs, output: &Output) -> Result<(), Failure> {
    let mut flags = args.flags.clone();
    if output.is_json() && flags.iter().all(|(key, _)| key != "log.format") {
        // The log is what a server has to say.
        flags.push(("log.format".to_owned(), "json".to_owned()));
    }
    let layers = Layers { file: args.config.clone(), flags, ..Layers::from_environment() };
    if args.print_config {
        let loaded = layers.load()?;
        return output.data(&described(&loaded), || commented(&loaded).into_bytes());
    }
    Ok(main_serve(layers)?)
}

/// The examples, and the keys that can be given by the environment alone.
fn without_flag() -> String {
    let variables = KEYS.iter().filter(|key| key.flag().is_none());
    variables.fold(EXAMPLES.to_owned(), |text, key| format!("{text}\n  {:<22} {}", key.variable(), key.path))
}

fn described(loaded: &Loaded) -> Value {
    let keys: Vec<Value> = values(loaded)
        .into_iter()
        .map(|(key, value, origin)| json!({ "key": key, "value": value, "origin": value.as_ref().map(|_| origin) }))
        .collect();
    json!({ "keys": keys })
}
