//! What a suite is expected to do: the pinned counts, and the tests left out with their reasons.

use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::{Failure, Result};

/// How one test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Passed,
    Failed,
    /// The suite itself leaves it out.
    Ignored,
}

/// The results of one file of tests, by name.
pub(super) type Endings = BTreeMap<String, Ending>;

/// What is expected of one file of tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) name: String,
    /// How many tests the file holds, left-out ones included.
    pub(super) total: usize,
    /// Tests that are not run, and why.
    pub(super) skipped: BTreeMap<String, String>,
    /// Tests that are run and must fail, and why: fixing one means removing its line.
    pub(super) failing: BTreeMap<String, String>,
}

/// Reads a file of expectations:
///
/// ```text
/// [client_tests] 63
/// skip tests::connect_domain: asks a server on the internet
/// fail tests::some_other: what we do not do yet
/// ```
pub(super) fn read(path: &Path) -> Result<Vec<Expected>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
    parse(&text).map_err(|why| Failure::failed(format!("{}: {why}", path.display())))
}

fn parse(text: &str) -> std::result::Result<Vec<Expected>, String> {
    let mut files: Vec<Expected> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let wrong = |what: &str| format!("line {}: {what}: {line}", at + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            let (name, total) = head.split_once(']').ok_or_else(|| wrong("expected `[file] number of tests`"))?;
            files.push(Expected {
                name: name.to_owned(),
                total: total.trim().parse().map_err(|_| wrong("expected a number of tests"))?,
                skipped: BTreeMap::new(),
                failing: BTreeMap::new(),
            });
            continue;
        }
        let file = files.last_mut().ok_or_else(|| wrong("expected `[file]` first"))?;
        let (what, rest) = line.split_once(' ').ok_or_else(|| wrong("expected `skip NAME: reason`"))?;
        let (name, reason) = rest.split_once(": ").ok_or_else(|| wrong("expected a reason after `: `"))?;
        let entry = (name.to_owned(), reason.to_owned());
        match what {
            "skip" => file.skipped.extend([entry]),
            "fail" => file.failing.extend([entry]),
            _ => return Err(wrong("expected `skip` or `fail`")),
        }
    }
    Ok(files)
}

impl Expected {
    /// What does not agree with the results, one sentence each; none if all is as pinned.
    pub(super) fn disagreements(&self, endings: &Endings) -> Vec<String> {
        let mut told = Vec::new();
        let seen = endings.len() + self.skipped.keys().filter(|name| !endings.contains_key(*name)).count();
        if seen != self.total {
            told.push(format!("holds {seen} tests, expected {}", self.total));
        }
        for (name, ending) in endings {
            match (ending, self.failing.contains_key(name)) {
                (Ending::Failed, false) if !self.skipped.contains_key(name) => told.push(format!("{name} failed")),
                (Ending::Passed, true) => told.push(format!("{name} passes now: remove its line")),
                _ => {}
            }
        }
        let unknown = self.failing.keys().filter(|name| !endings.contains_key(*name));
        told.extend(unknown.map(|name| format!("{name} did not run")));
        told
    }

    /// Passed, failed as expected, left out; for the summary.
    pub(super) fn counts(&self, endings: &Endings) -> String {
        let passed = endings.values().filter(|ending| **ending == Ending::Passed).count();
        format!(
            "{passed} of {} passed, {} left out, {} known to fail",
            self.total,
            self.skipped.len(),
            self.failing.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        let text = "# all\n\n[client] 3\nskip a::net: no internet: none\nfail a::later: not built\n";
        parse(text).expect("it is well formed").remove(0)
    }

    fn endings(pairs: &[(&str, Ending)]) -> Endings {
        pairs.iter().map(|(name, ending)| ((*name).to_owned(), *ending)).collect()
    }

    #[test]
    fn a_line_without_a_reason_is_refused() {
        for text in ["[a] 1\nskip x", "skip x: y", "[a] many", "[a] 1\nomit x: y", "[a"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn results_as_pinned_agree() {
        let results = endings(&[("a::fine", Ending::Passed), ("a::later", Ending::Failed)]);
        assert_eq!(expected().disagreements(&results), Vec::<String>::new());
    }

    #[test]
    fn every_other_result_is_told() {
        let worse = endings(&[("a::fine", Ending::Failed), ("a::later", Ending::Failed)]);
        assert_eq!(expected().disagreements(&worse), ["a::fine failed"]);
        let better = endings(&[("a::fine", Ending::Passed), ("a::later", Ending::Passed)]);
        assert_eq!(expected().disagreements(&better), ["a::later passes now: remove its line"]);
        let fewer = endings(&[("a::later", Ending::Failed)]);
        assert_eq!(expected().disagreements(&fewer), ["holds 2 tests, expected 3"]);
    }
}
