//! `crosstie shm`: shared memory as it stands, without the cooperation of those who use it.

mod child;
mod dump;
mod failure;
mod gc;
pub(crate) mod lock;
pub(crate) mod locks;
mod ls;
mod rm;
mod show;
mod target;
mod text;
mod trace;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use crosstie::shm::Directory;

use crate::{exit::Failure, output::Output};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm ls                          every segment, and how many take part
  crosstie shm show ledger                 its header, its schema, its participants
  crosstie shm trace ledger                what each participant did last, dead or alive
  crosstie shm dump ledger --length 256    the bytes of its data
  crosstie shm gc                          remove what nobody uses any more
  crosstie shm rm ledger                   remove one, whatever is in it")]
pub(crate) struct ShmArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: ShmCommand,
}

/// Where the segments are.
#[derive(Args)]
pub(crate) struct Place {
    /// The directory of segments [default: $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/crosstie, /dev/shm/crosstie-UID]
    #[arg(long, env = "CROSSTIE_DIR", global = true)]
    dir: Option<PathBuf>,
}

impl Place {
    fn open(&self) -> Result<Directory, Failure> {
        Ok(match &self.dir {
            // The variable of the same name may go with one that names a group.
            Some(dir) if std::env::var_os("CROSSTIE_DIR").as_deref() != Some(dir.as_os_str()) => Directory::at(dir)?,
            _ => Directory::of_user()?,
        })
    }
}

#[derive(Subcommand)]
enum ShmCommand {
    /// List the segments
    Ls,
    /// Show one segment: header, schema, participants
    Show(target::Target),
    /// Print bytes of a segment
    Dump(dump::DumpArgs),
    /// Show the last acts of each participant, dead or alive
    Trace(trace::TraceArgs),
    /// Recover what the dead left, and remove every segment that nobody uses
    Gc,
    /// Remove segments by name
    Rm(rm::RmArgs),
}

pub(crate) fn run(args: &ShmArgs, output: &Output) -> Result<(), Failure> {
    let directory = args.place.open()?;
    match &args.command {
        ShmCommand::Ls => ls::run(&directory, output),
        ShmCommand::Show(target) => show::run(&directory, target, output),
        ShmCommand::Dump(args) => dump::run(&directory, args, output),
        ShmCommand::Trace(args) => trace::run(&directory, args, output),
        ShmCommand::Gc => gc::run(&directory, output),
        ShmCommand::Rm(args) => rm::run(&directory, args, output),
    }
}
