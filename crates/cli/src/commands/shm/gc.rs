//! `crosstie shm gc`.

use crosstie::shm::{Directory, Outcome, sweep};
use serde_json::json;

use crate::{
    exit::{Code, Failure},
    output::Output,
};

pub(super) fn run(directory: &Directory, output: &Output) -> Result<(), Failure> {
    let mut refused = 0;
    for swept in sweep(directory)? {
        let (outcome, why) = match &swept.outcome {
            Outcome::Removed => ("removed", "nobody takes part in it".to_owned()),
            Outcome::RemovedOfOtherBoot => ("removed", "the machine was started anew since it was made".to_owned()),
            Outcome::RemovedUnfinished => ("removed", "its builder died".to_owned()),
            Outcome::InUse { alive } => ("kept", format!("{alive} live participants")),
            Outcome::Busy => ("kept", "somebody else is at it".to_owned()),
            Outcome::Refused(error) => ("kept", super::failure::as_here(&error.to_string())),
            _ => ("kept", String::new()),
        };
        refused += u32::from(matches!(swept.outcome, Outcome::Refused(_)));
        let reaped: Vec<_> = swept.reaped.iter().map(|gone| gone.slot).collect();
        let value = json!({ "file": swept.file, "outcome": outcome, "why": why, "recovered_slots": reaped });
        output.data(&value, || {
            let dead = match reaped.len() {
                0 => String::new(),
                count => format!("; recovered {count} dead"),
            };
            format!("{outcome} {}: {why}{dead}\n", swept.file).into_bytes()
        })?;
    }
    if refused == 0 {
        return Ok(());
    }
    let message =
        format!("files that are no segments that can be judged: {refused}; remove them with 'crosstie shm rm --force'");
    Err(Failure::new(Code::Failure, "refused", message))
}
