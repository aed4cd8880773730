//! The servers that cases run on: one for each configuration, started when first needed.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::case::Case;
use super::conversation::{Pieces, hold};
use super::server::Server;

/// One program, running once for each configuration that cases asked for.
#[derive(Debug)]
pub struct Stage {
    program: PathBuf,
    configs: PathBuf,
    ignored_info: BTreeSet<String>,
    servers: BTreeMap<String, Server>,
}

impl Stage {
    /// A program with nats-server's command line, and the folder of configurations (`NAME.conf`).
    #[must_use]
    pub fn new(program: &Path, configs: &Path, ignored_info: BTreeSet<String>) -> Self {
        Self { program: program.to_path_buf(), configs: configs.to_path_buf(), ignored_info, servers: BTreeMap::new() }
    }

    /// Carries out a case; see [`hold`].
    ///
    /// # Errors
    ///
    /// If the server does not start, or does not answer.
    pub fn perform(&mut self, case: &Case, pieces: Pieces) -> Result<Vec<String>, String> {
        if case.flags.private {
            let server = self.start(&case.config)?;
            return hold(case, &server, pieces, &self.ignored_info).map_err(|error| error.to_string());
        }
        if !self.servers.contains_key(&case.config) {
            let server = self.start(&case.config)?;
            self.servers.insert(case.config.clone(), server);
        }
        hold(case, &self.servers[&case.config], pieces, &self.ignored_info).map_err(|error| error.to_string())
    }

    fn start(&self, config: &str) -> Result<Server, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = self.configs.join(format!("{config}.conf"));
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let folder = env::temp_dir().join(format!("corpus-{}-{number}", process::id()));
        Server::start(&self.program, &text, folder)
            .map_err(|error| format!("{} with {config}.conf: {error}", self.program.display()))
    }
}
