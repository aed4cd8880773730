//! Everything a server process is told: the broker's options, and what the process does around it.

use std::path::PathBuf;

use crosstie_broker::Options;
use crosstie_core::{HostPort, Target};

/// What a server process is told, whichever configuration it came from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The broker's own options.
    pub options: Options,
    /// Where clients connect: `tcp:` and `unix:` targets.
    pub listen: Vec<Target>,
    /// Where monitoring answers over HTTP; nowhere unless given.
    pub http: Option<HostPort>,
    /// The file that holds the process id while the server runs.
    pub pid_file: Option<PathBuf>,
    /// The folder of the ports file, `<executable>_<pid>.ports`, written once everything listens.
    pub ports_file_dir: Option<PathBuf>,
    /// What is logged, how and where to.
    pub log: LogSettings,
    /// The folder that nats-server would store in. Nothing is stored in it; it is only told in the log.
    pub store_dir: Option<PathBuf>,
}

impl Settings {
    /// The settings of a server that nobody told anything: clients at `127.0.0.1:4222`, no monitoring.
    pub fn new() -> Self {
        Self {
            options: Options::default(),
            listen: vec![Target::Tcp { host: HostPort { host: "127.0.0.1".to_owned(), port: 4222 } }],
            http: None,
            pid_file: None,
            ports_file_dir: None,
            log: LogSettings::default(),
            store_dir: None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

/// What is logged, how and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogSettings {
    /// Which lines: `error`, `warn`, `info`, `debug`, `trace`, or directives like `info,crosstie_broker=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
    /// Where lines go; standard error unless given.
    pub file: Option<PathBuf>,
    /// Whether a line says when it was written.
    pub time: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text, file: None, time: true }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// As nats-server writes it, for programs that read its log.
    Nats,
}
