//! What our client promises, tried against real nats-servers: the newest, an older one that many still run, and Debian's.

use std::process::{Command, ExitCode};

use crate::failure::{Failure, Result};
use crate::root;
use crate::tools::{self, Tool};

/// The variable by which the contract tests are given a server instead of our broker.
const SERVER: &str = "CROSSTIE_NATS_SERVER";

/// Runs the client's contract tests once for each server; one that cannot be had is told after the others have run.
pub(crate) fn run() -> Result<ExitCode> {
    let mut missing = None;
    for tool in [Tool::NatsServer2_15, Tool::NatsServer2_10, Tool::NatsServer2_9] {
        let server = match tools::install(tool) {
            Ok(server) => server,
            Err(Failure::NotRun(why)) => {
                missing = Some(why);
                continue;
            }
            Err(failed) => return Err(failed),
        };
        println!("against {}", tool.name());
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["test", "--quiet", "--locked", "--package", "crosstie", "--test", "client_contract"])
            .env(SERVER, server)
            .current_dir(root::workspace())
            .status()
            .map_err(Failure::failed)?;
        if !status.success() {
            return Err(Failure::failed(format!("the client does not keep its promises with {}", tool.name())));
        }
    }
    missing.map_or(Ok(ExitCode::SUCCESS), |why| Err(Failure::NotRun(why)))
}
