//! The live table: every process, how it fares, how often it was started again.

use std::{collections::HashMap, fmt::Write as _, io::Write as _};

use super::wire::Status;

/// One row.
pub(super) struct Row {
    pub(super) part: String,
    pub(super) pid: u32,
    pub(super) restarts: u32,
}

/// Draws the table over the last one on a terminal.
#[derive(Default)]
pub(super) struct Table {
    drawn: usize,
}

impl Table {
    pub(super) fn draw(&mut self, rows: &[Row], statuses: &HashMap<String, Status>, footer: &[String], colour: bool) {
        let mut text = String::new();
        if self.drawn > 0 {
            let _ = write!(text, "\u{1b}[{}A", self.drawn);
        }
        let (bold, plain) = if colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        let _ = writeln!(
            text,
            "\u{1b}[2K{bold}{:<9} {:>8} {:>9} {:>10}  {plain}",
            "process", "pid", "restarts", "transfers"
        );
        for row in rows {
            let status = statuses.get(&row.part).cloned().unwrap_or_default();
            let count = if row.part == "broker" { String::new() } else { status.count.to_string() };
            let _ = writeln!(
                text,
                "\u{1b}[2K{:<9} {:>8} {:>9} {count:>10}  {}",
                row.part, row.pid, row.restarts, status.note
            );
        }
        for line in footer {
            let _ = writeln!(text, "\u{1b}[2K{line}");
        }
        self.drawn = rows.len() + footer.len() + 1;
        // A terminal that is gone ends the demo elsewhere.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
