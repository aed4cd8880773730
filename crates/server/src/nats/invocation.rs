//! A call of nats-server from its arguments to its exit code.

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use crosstie_broker::NATS_VERSION;
use crosstie_core::{Error, Kind};

use super::{
    flags::{Action, CommandLine, help},
    grammar, keys,
};
use crate::{
    config::fits_together,
    process::send_signal,
    serve::serve_until_signalled,
    settings::{LogFormat, Settings},
};

/// The environment variable that stands for `--insecure`, for programs that start nats-server with a fixed command line.
const INSECURE: &str = "CROSSTIE_INSECURE";

/// Runs nats-server's command line: `arguments` are those after the name of the program. Blocks until the server has ended.
///
/// Three things differ from nats-server on purpose: without `-a` it listens on 127.0.0.1; beyond loopback it wants authentication or
/// `--insecure` (or `CROSSTIE_INSECURE=1`); and whatever it does not support is refused by name.
pub fn main_nats(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match run_nats(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nats-server: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As [`main_nats`], for a caller that tells errors in its own way.
///
/// # Errors
///
/// What is wrong with the arguments or the configuration, or keeps the server from starting.
pub fn run_nats(arguments: impl Iterator<Item = OsString>) -> Result<(), Error> {
    let line = CommandLine::parse(arguments).map_err(invalid)?;
    match &line.action {
        Action::Version => tell(&format!("nats-server: v{NATS_VERSION}\n")),
        Action::Help => tell(&help("nats-server")),
        Action::Test => {
            settings(&line)?;
            let file = line.config.as_deref().map_or_else(|| "".into(), |path| path.to_string_lossy());
            eprintln!("nats-server: configuration file {file} is valid");
            Ok(())
        }
        Action::Signal { command, process } => {
            let process = process.as_deref().ok_or_else(|| {
                invalid("--signal: expected COMMAND=PID or COMMAND=FILE, found no process".to_owned())
            })?;
            send_signal(*command, process)
        }
        Action::Run => {
            let now = settings(&line)?;
            serve_until_signalled(now, move || settings(&line))
        }
    }
}

/// Prints to standard output; that nobody reads it is no error.
fn tell(text: &str) -> Result<(), Error> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn invalid(message: String) -> Error {
    Error::new(Kind::InvalidInput, message)
}

/// The settings of the configuration file, if there is one, and of the flags.
fn settings(line: &CommandLine) -> Result<Settings, Error> {
    let mut settings = Settings::new();
    settings.log.format = LogFormat::Nats;
    let mut stated = match &line.config {
        Some(path) => {
            let document = grammar::parse_file(path, &|name| env::var(name).ok())?;
            keys::apply(&document, &mut settings)?
        }
        None => keys::Stated::default(),
    };
    line.apply(&mut settings, &mut stated).map_err(invalid)?;
    settings.listen = vec![stated.addresses.listen()];
    settings.http = stated.addresses.http();
    settings.options.insecure = line.insecure || env::var_os(INSECURE).is_some_and(|value| value == "1");
    settings.log.level = match (stated.trace, stated.debug) {
        // Not the libraries: they would drown what is asked for.
        (true, _) => "info,crosstie_broker=trace,crosstie_net=trace,crosstie_server=trace".to_owned(),
        (_, true) => "info,crosstie_broker=debug,crosstie_net=debug,crosstie_server=debug".to_owned(),
        _ => "info".to_owned(),
    };
    stated.tls.settle(&mut settings).map_err(invalid)?;
    fits_together(&settings).map_err(invalid)?;
    Ok(settings)
}
