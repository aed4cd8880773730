//! Floors: a crate may use the crates on floors below its own, and no other.
//!
//! The table is that of `docs/architecture.md`. Two arrows run sideways. What only tests use is exempt: a client is tested against a
//! broker that stands above it, and no program is built that way.

use std::path::Path;

use toml::{Table, Value};

use super::tree::{Finding, Tree};

/// Crate and floor. The crates of floor `TESTS` are for tests: no library may use them.
const FLOORS: [(&str, u8); 22] = [
    ("sys", 1),
    ("core", 1),
    ("macros", 1),
    ("proto", 2),
    ("shm", 2),
    ("log", 2),
    ("net", 2),
    ("stream", 3),
    ("client", 3),
    ("link", 3),
    ("broker", 4),
    ("bus", 5),
    ("server", 5),
    ("crosstie", 6),
    ("gateway", 6),
    ("cli", 7),
    ("testkit", TESTS),
    ("sim", TESTS),
    ("bench", TESTS),
    ("bench-shm", TESTS),
    ("fuzz", TESTS),
    ("xtask", TESTS),
];
const TESTS: u8 = u8::MAX;
const SIDEWAYS: [(&str, &str); 2] = [("net", "shm"), ("link", "client")];
/// Floors that `testkit` sees, so that every crate above them can use it without a circle.
const TESTKIT_SEES: u8 = 2;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, manifest) in tree.packages() {
        let file = folder.join("Cargo.toml");
        let manifest: Table = match manifest.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::of(&file, format!("expected TOML: {error}")));
                continue;
            }
        };
        let name =
            manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str).unwrap_or_default();
        let crate_name = short(name).unwrap_or(name);
        let Some(floor) = floor(crate_name) else {
            findings.push(Finding::of(&file, format!("crate `{crate_name}` has no floor; give it one in xtask/src/tidy/floors.rs and docs/architecture.md")));
            continue;
        };
        findings.extend(arrows(&manifest).into_iter().filter_map(|arrow| judge(&file, crate_name, floor, &arrow)));
    }
    findings
}

/// Our own crates that one manifest builds upon, those under `[target.….dependencies]` too.
fn arrows(manifest: &Table) -> Vec<String> {
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables =
        std::iter::once(manifest).chain(targets.into_iter().flat_map(Table::values).filter_map(Value::as_table));
    for table in tables {
        for section in ["dependencies", "build-dependencies"] {
            let names = table.get(section).and_then(Value::as_table).into_iter().flat_map(Table::keys);
            found.extend(names.filter_map(|name| short(name)).map(str::to_owned));
        }
    }
    found
}

fn judge(file: &Path, from: &str, floor_from: u8, to: &str) -> Option<Finding> {
    let Some(floor_to) = floor(to) else {
        return Some(Finding::of(file, format!("`{from}` uses `{}`, which has no floor", to)));
    };
    let runs_down = floor_to < floor_from && (from != "testkit" || floor_to <= TESTKIT_SEES);
    let allowed =
        runs_down || SIDEWAYS.contains(&(from, to)) || (floor_to == TESTS && floor_from == TESTS && to == "testkit");
    (!allowed).then(|| {
        let why = match (from, floor_to) {
            (_, TESTS) => "is for tests; name it under [dev-dependencies]".to_owned(),
            ("testkit", _) => format!("is on floor {floor_to}; testkit sees floors 1 to {TESTKIT_SEES}"),
            _ => format!("is on floor {floor_to} and `{from}` on floor {floor_from}; arrows run down only"),
        };
        Finding::of(file, format!("`{from}` uses `{}`, which {why}", to))
    })
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

/// `core` for `crosstie-core`; nothing for a crate that is not ours.
fn short(package: &str) -> Option<&str> {
    package.strip_prefix("crosstie-").or_else(|| (package == "crosstie" || package == "xtask").then_some(package))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, rest: &str) -> Vec<String> {
        let manifest = format!("[package]\nname = \"{name}\"\n{rest}");
        check(&Tree::of(&[("crates/x/Cargo.toml", &manifest)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn arrows_down_sideways_and_to_test_crates_pass() {
        assert!(
            found("crosstie-net", "[dependencies]\ncrosstie-core = \"1\"\ncrosstie-shm = \"1\"\nbytes = \"1\"")
                .is_empty()
        );
        assert!(
            found("crosstie-core", "[dev-dependencies]\ncrosstie-testkit = \"1\"\ncrosstie-broker = \"1\"").is_empty()
        );
        assert!(found("crosstie-sim", "[dependencies]\ncrosstie-broker = \"1\"\ncrosstie-testkit = \"1\"").is_empty());
    }

    #[test]
    fn an_arrow_up_or_sideways_is_told() {
        let up = found("crosstie-proto", "[dependencies]\ncrosstie-broker.workspace = true");
        assert_eq!(
            up,
            [
                "crates/x/Cargo.toml: `proto` uses `broker`, which is on floor 4 and `proto` on floor 2; arrows run down only"
            ]
        );
        assert_eq!(found("crosstie-shm", "[target.'cfg(unix)'.dependencies]\ncrosstie-net = \"1\"").len(), 1);
        assert_eq!(found("crosstie-testkit", "[dependencies]\ncrosstie-client = \"1\"").len(), 1);
        assert_eq!(found("crosstie-client", "[dependencies]\ncrosstie-testkit = \"1\"").len(), 1);
    }

    #[test]
    fn a_crate_without_a_floor_is_told() {
        assert_eq!(found("crosstie-attic", "").len(), 1);
    }
}
