//! How much of a table is shown: what fits the terminal, or everything.

use clap::Args;
use serde_json::Value;

use super::table::Table;
use crate::{exit::Failure, output::Output};

/// How much of a table is shown.
#[derive(Args)]
pub(crate) struct Wide {
    /// Every column, each row in one line, however wide the terminal is; so it is in a pipe, too
    #[arg(long)]
    wide: bool,
}

impl Wide {
    /// How wide a table may be; nothing if everything is to be shown.
    pub(super) fn limit(&self, output: &Output) -> Option<usize> {
        output.width().filter(|_| !self.wide)
    }
}

/// Prints a table, and tells a person which columns had no room.
pub(crate) fn show_table(table: &Table, wide: &Wide, output: &Output) -> Result<(), Failure> {
    let (text, left_out) = table.text(wide.limit(output));
    output.data(&Value::Null, || text.into_bytes())?;
    if !left_out.is_empty() {
        output.note(&format!("no room for {}: --wide shows everything", left_out.join(", ")));
    }
    Ok(())
}
