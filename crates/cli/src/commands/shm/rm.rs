//! `crosstie shm rm`.

use clap::Args;
use crosstie::shm::{Directory, Error, SegmentName, remove};
use serde_json::json;

use super::failure::as_here;
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
    // What cannot be removed keeps nothing else from being removed; the first says with which code it ends.
    let mut failure = None;
    for name in names {
        match remove(directory, &name, args.force) {
            Ok(files) => {
                let value = json!({ "name": name.as_str(), "removed_files": files });
                output.data(&value, || format!("removed {name}\n").into_bytes())?;
            }
            Err(error) => match &mut failure {
                None => failure = Some(Failure::from(error)),
                Some(Failure::Told { message, .. }) => *message += &format!("; {}", as_here(&error.to_string())),
                Some(_) => {}
            },
        }
    }
    failure.map_or(Ok(()), Err)
}
