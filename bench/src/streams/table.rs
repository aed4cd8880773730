//! The table of `streams`: what came, beside what it is compared with and what is wanted.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::case::{Case, Unit};
use crate::columns::{aligned, number, spread};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::spread::Spread;
use crate::targets::Target;

/// One case and what its passes came to.
pub(super) struct Row {
    pub(super) case: &'static Case,
    passes: Vec<f64>,
}

impl Row {
    pub(super) const fn new(case: &'static Case) -> Self {
        Self { case, passes: Vec::new() }
    }

    pub(super) fn add(&mut self, pass: f64) {
        self.passes.push(pass);
    }
}

/// All of a run.
pub(super) struct Table {
    host: Host,
    passes: u32,
    rows: Vec<Row>,
}

/// What a row comes to.
struct Found {
    figure: Spread,
    /// The middle of the ratios within each pass, for the machine may be another one by the next.
    ratio: Option<Spread>,
    is_met: Option<bool>,
}

impl Table {
    pub(super) const fn new(host: Host, passes: u32, rows: Vec<Row>) -> Self {
        Self { host, passes, rows }
    }

    fn found(&self, row: &Row) -> Option<Found> {
        let figure = Spread::of(&row.passes)?;
        let floor = self.rows.iter().find(|other| Some(other.case.name) == row.case.floor);
        let ratio = floor.and_then(|floor| {
            let ratios: Vec<_> = row.passes.iter().zip(&floor.passes).map(|(ours, theirs)| ours / theirs).collect();
            Spread::of(&ratios)
        });
        let is_met = row.case.target.map(|target| match target {
            Target::Least(_) | Target::Most(_) => {
                target.is_met(ratio.as_ref().map_or(f64::NAN, |ratio| ratio.median), 1.0)
            }
            Target::Below(_) | Target::Above(_) => target.is_met(figure.median, 0.0),
        });
        Some(Found { figure, ratio, is_met })
    }

    /// The table for people.
    pub(super) fn text(&self) -> String {
        let host = &self.host;
        let mut text = format!(
            "{} · {} cores · {} · Linux {} · {} MiB · load before {:.2}\n{} passes, interleaved: median [min–max]\n\n",
            host.date, host.cores, host.cpu, host.kernel, host.memory_mib, host.load, self.passes
        );
        let mut lines = vec![["", "", "", "over", "ratio", "wanted", ""].map(str::to_owned).to_vec()];
        for row in &self.rows {
            let Some(found) = self.found(row) else { continue };
            let ratio = found
                .ratio
                .as_ref()
                .map(|ratio| format!("{}× [{}–{}]", number(ratio.median), number(ratio.min), number(ratio.max)));
            let verdict = found.is_met.map_or("", |is_met| if is_met { "met" } else { "MISSED" });
            lines.push(vec![
                row.case.name.to_owned(),
                spread(&found.figure),
                unit(row.case.unit).to_owned(),
                row.case.floor.unwrap_or_default().to_owned(),
                ratio.unwrap_or_default(),
                row.case.target.map_or_else(String::new, |target| target.to_string()),
                verdict.to_owned(),
            ]);
        }
        text.push_str(&aligned(&lines));
        text
    }

    /// Writes all of it as JSON.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let rows: Vec<Value> = self.rows.iter().filter_map(|row| Some((row, self.found(row)?))).map(json).collect();
        let all = json!({ "host": self.host, "passes": self.passes, "rows": rows });
        let text = serde_json::to_string_pretty(&all).map_err(Error::during("writing JSON"))?;
        fs::write(path, text + "\n").map_err(Error::during(path.display()))
    }
}

const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Micros => "µs",
        Unit::Millions => "M/s",
        Unit::Gigabytes => "GB/s",
    }
}

fn json((row, found): (&Row, Found)) -> Value {
    json!({
        "case": row.case.name, "unit": unit(row.case.unit), "figure": found.figure, "over": row.case.floor,
        "ratio": found.ratio, "wanted": row.case.target, "met": found.is_met,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::case::CASES;

    fn row(name: &str, passes: &[f64]) -> Row {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        Row { case, passes: passes.to_vec() }
    }

    #[test]
    fn a_ratio_is_the_middle_of_those_within_a_pass_and_decides() {
        let rows = vec![row("64KiB/bare", &[1.0, 2.0, 4.0]), row("64KiB/bytes-shm", &[3.0, 3.0, 6.0])];
        let table = Table::new(Host::read(), 3, rows);
        let found = table.found(&table.rows[1]).unwrap();
        assert_eq!((found.ratio.unwrap().median, found.is_met), (1.5, Some(true)));
        assert!(table.text().contains("met") && !table.text().contains("MISSED"));
    }

    #[test]
    fn a_bound_decides_by_itself() {
        let table = Table::new(Host::read(), 1, vec![row("64B/channel-shm", &[7.9])]);
        assert!(table.text().contains("MISSED"));
    }

    #[test]
    fn every_floor_is_a_case() {
        for floor in CASES.iter().filter_map(|case| case.floor) {
            assert!(CASES.iter().any(|case| case.name == floor), "{floor}");
        }
    }
}
