//! Our raw-protocol cases, run against the server under test and against nats-server.

use std::process::ExitStatus;

use super::trial::{Trial, cargo};
use crate::failure::{Failure, Result};
use crate::root;
use crate::tools::{self, Tool};

pub(super) fn run(trial: &Trial) -> Result<()> {
    let reference = tools::install(Tool::NatsServer2_15)?;
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "crosstie-testkit", "--bin", "corpus", "--"]);
    command.arg("--server").arg(&trial.server).arg("--reference").arg(reference);
    let status = command.current_dir(root::workspace()).status().map_err(Failure::failed)?;
    judge(status)
}

fn judge(status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    Err(Failure::failed("the server under test and nats-server differ; see above"))
}
