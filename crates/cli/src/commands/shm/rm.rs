//! `crosstie shm rm`.

use clap::Args;
use crosstie::shm::{Directory, Error, SegmentName, remove};
use serde_json::json;

use crate::{exit::Failure, output::Output};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm rm ledger
  crosstie shm rm --force ledger  even while somebody uses it: they are told")]
pub(super) struct RmArgs {
    /// The segments
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Even if somebody takes part, or if it cannot be read
    #[arg(long, short)]
    force: bool,
}

pub(super) fn run(directory: &Directory, args: &RmArgs, output: &Output) -> Result<(), Failure> {
    // All names are read before anything is removed.
    let names: Vec<SegmentName> =
        args.names.iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(Error::from)?;
    for name in names {
        let files = remove(directory, &name, args.force)?;
        let value = json!({ "name": name.as_str(), "removed_files": files });
        output.data(&value, || format!("removed {name}\n").into_bytes())?;
    }
    Ok(())
}
