//! What our client promises and our monitoring shows, tried against real nats-servers: the newest, an older one that many still run, and Debian's.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::failure::{Failure, Result};
use crate::root;
use crate::tools::{self, Tool};

/// The variable by which the contract tests are given a server instead of our broker.
const SERVER: &str = "CROSSTIE_NATS_SERVER";

/// What is tried: a package, a test of it, and what is wrong if it fails.
const CLIENT: Trial = Trial("crosstie", "client_contract", "the client does not keep its promises");
const TLS: Trial = Trial("crosstie", "tls_contract", "the client does not keep its promises of TLS");
const MONITORING: Trial = Trial("crosstie-cli", "monitoring", "the list of fields is not right");

struct Trial(&'static str, &'static str, &'static str);

/// Runs the client's contract tests once for each server, and those of monitoring for the newest; a server that cannot be had is told after the
/// others have had their turn.
pub(crate) fn run() -> Result<ExitCode> {
    let mut missing = None;
    for (tool, trials) in [
        (Tool::NatsServer2_15, &[CLIENT, TLS, MONITORING][..]),
        (Tool::NatsServer2_10, &[CLIENT, TLS]),
        (Tool::NatsServer2_9, &[CLIENT, TLS]),
    ] {
        let server = match tools::install(tool) {
            Ok(server) => server,
            Err(Failure::NotRun(why)) => {
                missing = Some(why);
                continue;
            }
            Err(failed) => return Err(failed),
        };
        println!("against {}", tool.name());
        for trial in trials {
            trial.run(&server, tool)?;
        }
    }
    missing.map_or(Ok(ExitCode::SUCCESS), |why| Err(Failure::NotRun(why)))
}

impl Trial {
    fn run(&self, server: &Path, tool: Tool) -> Result<()> {
        let Self(package, test, wrong) = self;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["test", "--quiet", "--locked", "--package", package, "--test", test])
            .env(SERVER, server)
            .current_dir(root::workspace())
            .status()
            .map_err(Failure::failed)?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::failed(format!("{wrong} with {}", tool.name())))
    }
}
