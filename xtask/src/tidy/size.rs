//! Sizes, as a ratchet: what is long today is listed with its length and may only shrink; nothing new may grow long.
//!
//! The list is `xtask/ratchet.toml`; `cargo xtask tidy --ratchet` writes it anew. Tests do not count.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::tree::{Finding, Tree};
use crate::failure::{Failure, Result};
use crate::rust::{functions, tokens, without_tests};

const FILE: &str = "xtask/ratchet.toml";
const MAX_FILE_LINES: usize = 900;
const MAX_FUNCTION_LINES: usize = 100;
const PREFACE: &str = "# What is too long today, and how long it may be at most. Written by `cargo xtask tidy --ratchet`; may only shrink.\n\n";

/// Lines of each long file, and of each long function (`file::name`).
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Ratchet {
    files: BTreeMap<String, usize>,
    functions: BTreeMap<String, usize>,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let listed: Ratchet = match tree.text(Path::new(FILE)).map(toml::from_str).transpose() {
        Ok(listed) => listed.unwrap_or_default(),
        Err(error) => {
            return vec![Finding::of(Path::new(FILE), format!("expected the sizes of long files: {error}"))];
        }
    };
    let found = measure(tree);
    let mut findings = compare(&found.files, &listed.files, MAX_FILE_LINES);
    findings.extend(compare(&found.functions, &listed.functions, MAX_FUNCTION_LINES));
    findings
}

/// Writes today's sizes as the most that is allowed from now on.
pub(super) fn write_ratchet(tree: &Tree) -> Result<()> {
    let path = tree.root().join(FILE);
    let text = toml::to_string_pretty(&measure(tree)).expect("two maps of numbers are TOML");
    fs::write(&path, format!("{PREFACE}{text}"))
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
}

fn measure(tree: &Tree) -> Ratchet {
    let mut long = Ratchet::default();
    for (file, text) in tree.with_extension("rs") {
        let lines = text.lines().count();
        if lines > MAX_FILE_LINES {
            long.files.insert(file.display().to_string(), lines);
        }
        for (name, _, lines) in functions(&without_tests(&tokens(text))) {
            if lines > MAX_FUNCTION_LINES {
                long.functions.insert(format!("{}::{name}", file.display()), lines);
            }
        }
    }
    long
}

fn compare(found: &BTreeMap<String, usize>, listed: &BTreeMap<String, usize>, limit: usize) -> Vec<Finding> {
    let grown = found.iter().filter_map(|(name, lines)| {
        let allowed = *listed.get(name).unwrap_or(&limit);
        (*lines > allowed).then(|| {
            Finding::of(Path::new(name), format!("{lines} lines, at most {allowed} are allowed; cut it into thoughts"))
        })
    });
    let gone = listed.keys().filter(|name| !found.contains_key(*name));
    let gone = gone.map(|name| {
        Finding::of(Path::new(FILE), format!("`{name}` is no longer long: remove it with `cargo xtask tidy --ratchet`"))
    });
    grown.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: usize, ratchet: &str) -> Vec<String> {
        let text = "\n".repeat(lines);
        check(&Tree::of(&[("a.rs", &text), (FILE, ratchet)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_may_be_as_long_as_the_limit_or_as_its_listing() {
        assert_eq!(found(900, ""), [""; 0]);
        assert_eq!(found(950, "[files]\n\"a.rs\" = 950"), [""; 0]);
    }

    #[test]
    fn a_file_that_grew_and_a_listing_that_is_stale_are_told() {
        assert_eq!(found(901, "").len(), 1);
        assert_eq!(found(951, "[files]\n\"a.rs\" = 950").len(), 1);
        assert_eq!(found(900, "[files]\n\"a.rs\" = 950").len(), 1);
    }

    #[test]
    fn a_long_function_is_told_unless_it_is_a_test() {
        let body = "\n".repeat(101);
        let text = format!("fn long() {{{body}}}\n#[cfg(test)] mod tests {{ fn also() {{{body}}} }}");
        let found = check(&Tree::of(&[("a.rs", &text)]));
        assert_eq!(
            found,
            [Finding::of(Path::new("a.rs::long"), "102 lines, at most 100 are allowed; cut it into thoughts")]
        );
    }
}
