//! `crosstie shm`: shared memory as it stands, without the cooperation of those who use it.

mod child;
mod dump;
mod failure;
mod gc;
pub(crate) mod lock;
pub(crate) mod locks;
mod ls;
pub(super) mod place;
mod rm;
mod schema;
mod show;
pub(super) mod table;
mod target;
mod text;
mod trace;
pub(super) mod wide;

use clap::{Args, Subcommand};

use self::place::{Found, Place};
use crate::{
    exit::{Code, Failure},
    output::Output,
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm ls                        every segment, and how many take part
  crosstie shm show ledger               its value, its parts, its participants
  crosstie shm trace ledger              what each participant did last
  crosstie shm dump ledger --length 256  the bytes of its data
  crosstie shm gc                        remove what nobody uses any more
  crosstie shm rm ledger                 remove one that nobody uses")]
pub(crate) struct ShmArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: ShmCommand,
}

#[derive(Subcommand)]
enum ShmCommand {
    /// List the segments
    Ls(ls::LsArgs),
    /// Show one segment: header, value, schema, participants
    Show(show::ShowArgs),
    /// Print bytes of a segment
    Dump(dump::DumpArgs),
    /// Show the last acts of each participant, dead or alive
    Trace(trace::TraceArgs),
    /// Recover what the dead left, and remove every segment that nobody uses
    #[command(after_help = "Examples:
  crosstie shm gc
  crosstie shm gc --json | jq -r 'select(.outcome == \"kept\").file'")]
    Gc,
    /// Remove segments by name
    Rm(rm::RmArgs),
}

pub(crate) fn run(args: &ShmArgs, output: &Output) -> Result<(), Failure> {
    let directory = match (args.place.find()?, &args.command) {
        (Found::There(directory), _) => directory,
        (Found::NotYet(path), ShmCommand::Ls(_) | ShmCommand::Gc) => {
            output.note(&format!("no segments: there is no directory {} yet", path.display()));
            return Ok(());
        }
        // Whoever names a segment wants that one.
        (Found::NotYet(path), _) => {
            let what = format!("expected a segment of that name, found no directory {} yet", path.display());
            return Err(Failure::new(Code::NotFound, "not_found", what));
        }
    };
    match &args.command {
        ShmCommand::Ls(args) => ls::run(&directory, args, output),
        ShmCommand::Show(args) => show::run(&directory, args, output),
        ShmCommand::Dump(args) => dump::run(&directory, args, output),
        ShmCommand::Trace(args) => trace::run(&directory, args, output),
        ShmCommand::Gc => gc::run(&directory, output),
        ShmCommand::Rm(args) => rm::run(&directory, args, output),
    }
}
