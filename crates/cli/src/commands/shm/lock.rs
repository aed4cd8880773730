//! `crosstie lock`: runs a command while it holds a mutex.

use std::{os::unix::process::ExitStatusExt, process::Command, time::Duration};

use clap::Args;
use crosstie::shm::{LockOutcome, Mutex, SegmentName, deadline_after};
use crosstie_core::Deadline;

use super::Place;
use crate::{
    exit::{Code, Failure},
    output::Output,
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie lock backup -- rsync -a /srv /mnt/backup     one at a time on this machine
  crosstie lock backup --timeout 5s -- ./nightly.sh     give up after five seconds

If the process that holds the lock is killed, the lock is free; the command that it ran may go on.")]
pub(crate) struct LockArgs {
    #[command(flatten)]
    place: Place,
    /// The name of the mutex; it is made if there is none
    name: String,
    /// Give up after so long [default: wait for ever]
    #[arg(long, value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// What to run
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(crate) fn run(args: &LockArgs, output: &Output) -> Result<(), Failure> {
    let directory = args.place.open()?;
    let name: SegmentName = args.name.parse().map_err(crosstie::shm::Error::from)?;
    // The value counts the commands that ran to their end.
    let mutex = Mutex::open_or_create(&directory, &name, 0_u64)?;
    let deadline = args.timeout.map_or(Deadline::NEVER, deadline_after);
    let acquired = mutex.lock(deadline)?;
    if let LockOutcome::Recovered(recovery) = acquired.outcome {
        output.note(&recovery.to_string());
    }
    let mut guard = acquired.into_guard();
    let (program, arguments) = args.command.split_first().expect("clap wants at least one word");
    let status = Command::new(program).args(arguments).status()?;
    *guard += 1;
    guard.commit();
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::new(Code::Failure, "command", format!("`{program}` ended with {code}"))),
        None => {
            let signal = status.signal().unwrap_or_default();
            Err(Failure::new(Code::Failure, "command", format!("`{program}` was ended by signal {signal}")))
        }
    }
}
