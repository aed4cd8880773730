//! The table for people and the file for programs.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::rows::{ClientTable, Row};
use crate::columns::{aligned, spread};
use crate::error::{Error, Result};
use crate::host::Host;

/// Everything a comparison found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) host: Host,
    pub(crate) repetitions: u32,
    pub(crate) warm_up_ms: u64,
    pub(crate) measure_ms: u64,
    pub(crate) contenders: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) clients: Vec<ClientTable>,
    /// Runs that failed, and why.
    pub(crate) problems: Vec<String>,
}

impl Report {
    /// Writes the whole as JSON.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(Error::during("writing JSON"))?;
        fs::write(path, text + "\n").map_err(Error::during(path.display()))
    }

    /// The table as text.
    pub(crate) fn table(&self) -> String {
        let host = &self.host;
        let mut text = format!(
            "{} · {} cores · {} · Linux {} · {} MiB · load before {:.2}\n{} repetitions of {} ms after {} ms, interleaved: median [min–max]\n\n",
            host.date,
            host.cores,
            host.cpu,
            host.kernel,
            host.memory_mib,
            host.load,
            self.repetitions,
            self.measure_ms,
            self.warm_up_ms
        );
        if !self.rows.is_empty() {
            let mut lines = vec![heads("", &self.contenders, "ratio")];
            lines.extend(self.rows.iter().map(cells));
            text.push_str(&aligned(&lines));
            text.push_str("\nratio: crosstie to the better nats-server of the line\n");
        }
        for table in &self.clients {
            let through = format!("1→1 128 B through {}", table.through);
            let mut lines = vec![heads(&through, &["M/s".into()], "to raw")];
            lines.extend(table.rows.iter().map(cells));
            text.push('\n');
            text.push_str(&aligned(&lines));
        }
        for problem in &self.problems {
            text.push_str(&format!("\nPROBLEM: {problem}\n"));
        }
        text
    }
}

fn heads(first: &str, columns: &[String], ratio: &str) -> Vec<String> {
    let mut line = vec![first.to_owned()];
    line.extend_from_slice(columns);
    line.extend([ratio, "target", ""].map(str::to_owned));
    line
}

fn cells(row: &Row) -> Vec<String> {
    let mut line = vec![row.figure.clone()];
    line.extend(row.contenders.iter().map(|one| one.as_ref().map_or_else(|| "failed".into(), spread)));
    line.push(row.ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}×")));
    line.push(row.target.map_or_else(String::new, |target| target.to_string()));
    line.push(match row.met {
        Some(true) => "met".into(),
        Some(false) => "MISSED".into(),
        None => String::new(),
    });
    line
}
