//! `crosstie demo`: real processes that talk, and heal when you kill them.
//!
//! ```text
//!   customers ──transfer──► broker ──► bank 1 ┐ one of the two answers
//!     ▲                       │  └───► bank 2 ┤
//!     └────────answer─────────┘               ├─ locks, changes, commits ─► accounts (a region in shared memory) ─► reader
//!                             └─bank.>─► auditor                          │
//!                                             └─ appends, syncs ─► ledger (a file)
//! ```
//!
//! A supervisor starts every process again that ends. A bank locks the accounts that both share, writes the transfer with its id to the ledger, syncs
//! it, commits the accounts and answers. It applies no id twice, so a customer may ask again as often as it likes. In the end
//! the books are checked: money neither made nor lost, no id twice, no answered transfer missing, the accounts what the ledger says, and
//! nothing seen half done meanwhile. With `--no-locks` the same is done without the lock, and goes wrong; how and why is told in
//! [`accounts`].

mod accounts;
mod auditor;
mod bank;
mod books;
mod broker;
mod client;
mod ledger;
mod place;
mod reader;
mod supervisor;
mod table;
mod verdict;
mod wire;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    exit::{Code, Failure},
    output::Output,
    values::seconds,
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie demo                       until Ctrl-C; kill -9 any process it shows
  crosstie demo --seconds 10 --chaos  one of its processes is killed twice a
                                      second, and the books still balance
  crosstie demo --seconds 5 --no-locks
                                      no lock on the accounts: the books do
                                      not balance")]
pub(crate) struct DemoArgs {
    /// End by itself after so many seconds, at most a day; exit code 0 only if the books balance
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    /// Kill a process with SIGKILL about twice a second, at random
    #[arg(long)]
    chaos: bool,
    /// Change the shared accounts without a lock, to see what becomes of the books: updates are lost and reads are torn
    #[arg(long)]
    no_locks: bool,
    /// Play one part; the supervisor starts the parts this way
    #[arg(long, hide = true, requires = "directory")]
    part: Option<Part>,
    /// Where the parts meet
    #[arg(long, hide = true)]
    directory: Option<PathBuf>,
    /// Which of several alike
    #[arg(long, hide = true, default_value_t = 0)]
    index: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Broker,
    Bank,
    Auditor,
    Client,
}

pub(crate) fn run(args: &DemoArgs, output: &Output) -> Result<(), Failure> {
    let (Some(part), Some(directory)) = (args.part, args.directory.as_deref()) else {
        let wish = supervisor::Wish { length: args.seconds, chaos: args.chaos, is_locked: !args.no_locks };
        return supervisor::run(wish, output);
    };
    // A part does not outlive its supervisor, however that ends.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(std::io::Error::from)?;
    // It may have ended before that.
    if crate::scratch::is_abandoned(directory)? {
        return Err(Failure::new(Code::Failure, "demo", "the supervisor is gone"));
    }
    match part {
        Part::Broker => broker::run(directory),
        Part::Bank => bank::run(directory, args.index, !args.no_locks),
        Part::Auditor => auditor::run(directory),
        Part::Client => client::run(directory),
    }
}
