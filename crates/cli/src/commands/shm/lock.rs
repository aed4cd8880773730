//! `crosstie lock`: runs a command while it holds a mutex.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use crosstie::shm::{
    self, Act, Directory, Keeper, LockError, Mutex, Participant, ParticipantId, SegmentName, deadline_after,
};
use crosstie_core::Deadline;
use serde_json::json;

use super::{child, place::Place, text};
use crate::{
    exit::{Code, Failure},
    output::Output,
    values::duration,
};

#[derive(Args)]
#[command(override_usage = "crosstie lock [OPTIONS] <NAME> -- <COMMAND>...")]
#[command(after_help = "Examples:
  crosstie lock backup -- ./backup.sh               one at a time
  crosstie lock backup --timeout 5s -- ./backup.sh  or give up, with code 7

The exit code is that of the command, 128 and the number of a signal that
ended it, 126 if it cannot be run, 127 if it is not there; 125 if 'crosstie
lock' itself failed, and nothing was executed. 7 and other codes of its own are
told on standard error, which a command's are not. SIGINT, SIGTERM and
SIGHUP are passed on to it, and the lock is held until it has ended. If this
process is killed with SIGKILL the lock is free, and the command may go on.

32 at a time hold the lock or wait for it. Whoever comes beyond that is told,
and looks for a place until the timeout.

The command finds the number of its acquisition in CROSSTIE_FENCING_TOKEN:
greater than all before, until 'crosstie shm gc' removes a lock that nobody
uses. With --json a last line tells how it went.")]
pub(crate) struct LockArgs {
    #[command(flatten)]
    place: Place,
    /// The name of the mutex; it is made if there is none
    name: String,
    /// Give up after so long [default: wait for ever]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// What to run, with all that follows
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<String>,
}

/// The command finds its fencing token there.
const TOKEN: &str = "CROSSTIE_FENCING_TOKEN";
/// How soon who found no place looks again: seldom beside what commands take.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &LockArgs, output: &Output) -> Result<(), Failure> {
    run_with_lock(args, output).map_err(|failure| match failure {
        // A command may end with 1 as well.
        Failure::Told { code: Code::Failure, kind, message } => Failure::new(Code::NotTheCommand, kind, message),
        other => other,
    })
}

fn run_with_lock(args: &LockArgs, output: &Output) -> Result<(), Failure> {
    let directory = args.place.open()?;
    let name: SegmentName = args.name.parse().map_err(shm::Error::from)?;
    let (program, arguments) = args.command.split_first().expect("clap wants at least one word");
    // `crosstie locks` is to tell those who hold and wait from each other.
    let called = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let called = format!("crosstie lock {called}");
    let begun = Instant::now();
    let deadline = args.timeout.map_or(Deadline::NEVER, deadline_after);
    let mutex = enter(&directory, &name, &called, deadline, output)?;
    let acquired = mutex.lock(deadline).map_err(|error| not_got(&mutex, &name, args.timeout, error))?;
    let waited = begun.elapsed();
    let recovery = acquired.recovery();
    if let Some(recovery) = recovery {
        output.note(&format!(
            "crosstie: lock '{name}': {} ended while it held the lock; what it ran may still be going on",
            who(mutex.participant(), recovery.dead)
        ));
    }
    let mut guard = acquired.into_guard();
    // A command takes long enough for people to ask.
    guard.note_since();
    let token = guard.token();
    let status = child::run(Command::new(program).args(arguments).env(TOKEN, token.to_string())).map_err(|error| {
        let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        let message = format!("expected a command that can be run, came '{program}': {error}");
        Failure::Command { code, message: Some(message) }
    })?;
    *guard += 1;
    guard.commit();
    if output.is_json() {
        let recovered = recovery.map(|recovery| {
            json!({ "slot": recovery.dead.slot, "generation": recovery.dead.generation, "deaths": recovery.deaths })
        });
        let value = json!({
            "lock": name.as_str(), "token": token.number(), "waited_seconds": waited.as_secs_f64(),
            "recovered": recovered, "code": status.code(), "signal": status.signal(),
        });
        output.data(&value, Vec::new)?;
    }
    match child::code(status) {
        0 => Ok(()),
        // It has spoken for itself.
        code => Err(Failure::Command { code, message: None }),
    }
}

/// Takes part in the mutex, which has places for so many; whoever comes beyond that looks again and again until one is free.
fn enter(
    directory: &Directory,
    name: &SegmentName,
    called: &str,
    deadline: Deadline,
    output: &Output,
) -> Result<Mutex<u64>, Failure> {
    let mut was_told = false;
    loop {
        // The value counts the commands that ran to their end.
        let full = match Mutex::enter(directory, name, 0_u64, called) {
            Err(shm::Error::Full { slots, .. }) if !deadline.expired(shm::now()) => slots,
            outcome => return Ok(outcome?),
        };
        if !was_told {
            let text = format!("crosstie: lock '{name}': all {full} places are taken; waiting for one, in no order");
            output.event("full", &text);
            was_told = true;
        }
        thread::sleep(deadline.remaining(shm::now()).map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN)));
    }
}

/// Why the lock was not got: which one, and who has it.
fn not_got(mutex: &Mutex<u64>, name: &SegmentName, timeout: Option<Duration>, error: LockError) -> Failure {
    let (LockError::TimedOut { by: Some(by) }, Some(timeout)) = (&error, timeout) else { return error.into() };
    let holder = who(mutex.participant(), *by);
    let text = format!(
        "lock '{name}' was not free within {timeout:?}: {holder} holds it; 'crosstie locks {name}' shows who else waits"
    );
    // Whoever did not get the lock has done nothing with it.
    Failure::new(Code::Refused, "locked", text)
}

/// A participant as people know it: its process and, while nobody else has its place, its name.
fn who(participant: &Participant, id: ParticipantId) -> String {
    let segment = participant.segment();
    let all = Keeper::of(segment).and_then(|keeper| keeper.all_slots()).unwrap_or_default();
    let Some(now) = all.into_iter().find(|info| info.id.slot == id.slot) else { return format!("participant {id}") };
    let since = now.id.generation.wrapping_sub(id.generation);
    if since == 0 {
        return format!("'{}' (pid {})", text::name(&now.name), now.pid);
    }
    // Whoever took the place has overwritten its name, but not what it did.
    let events = segment.events(id.slot);
    let mut joined = events.iter().rev().filter(|event| event.act == Act::Joined).map(|event| event.detail[0]);
    let pid = usize::try_from(since).ok().and_then(|since| joined.nth(since));
    pid.map_or_else(|| format!("participant {id}"), |pid| format!("participant {id} (pid {pid})"))
}
