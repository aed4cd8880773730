//! Dependencies: each that a manifest names has its lines in the record of decisions, and the record names no other.

use std::{collections::BTreeSet, path::Path};

use toml::{Table, Value};

use super::tree::{Finding, Tree};

/// Where each dependency says what it is for.
const RECORD: &str = "docs/decisions/0003-dependencies.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(record) = tree.text(Path::new(RECORD)) else { return Vec::new() };
    let recorded: BTreeSet<&str> =
        record.lines().filter_map(|line| line.strip_prefix("### ")).flat_map(|names| names.split(", ")).collect();
    let mut findings = Vec::new();
    let mut named = BTreeSet::new();
    for (folder, manifest) in tree.packages() {
        // What cannot be read is told by another rule.
        let Ok(manifest) = manifest.parse::<Table>() else { continue };
        for name in external(&manifest) {
            if !recorded.contains(name.as_str()) {
                let text = format!("`{name}` has no lines in {RECORD}: what for, why that one, what it costs");
                findings.push(Finding::of(&folder.join("Cargo.toml"), text));
            }
            named.insert(name);
        }
    }
    let gone = recorded.iter().filter(|name| !named.contains(**name));
    findings.extend(gone.map(|name| Finding::of(Path::new(RECORD), format!("nothing depends on `{name}` any more"))));
    findings
}

/// The dependencies of every section that are not ours.
fn external(manifest: &Table) -> Vec<String> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section).and_then(Value::as_table))
        .flat_map(Table::keys)
        .filter(|name| *name != "crosstie" && !name.starts_with("crosstie-"))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_lines_and_lines_without_a_dependency_are_told() {
        let tree = Tree::of(&[
            (
                "x/Cargo.toml",
                "[package]\n[dependencies]\nbytes = \"1\"\ncrosstie-core = \"1\"\n[dev-dependencies]\nodd = \"1\"",
            ),
            (RECORD, "# Why\n\n### bytes, gone\nFor this.\n"),
        ]);
        let found: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("x/Cargo.toml") && found[0].contains("`odd`"), "{found:?}");
        assert!(found[1].contains("`gone`"), "{found:?}");
    }
}
