//! Circles: inside a crate no file may need, over whatever way, a file that needs it.
//!
//! What counts as needing is told in [`crate::rust::references`]. Tests are exempt: a test may look at everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::tree::{Finding, Tree};
use crate::rust::{Reference, Unit, references};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let packages: Vec<_> = tree.packages().map(|(folder, _)| folder.to_path_buf()).collect();
    packages.iter().flat_map(|folder| tree.units(folder)).flat_map(|unit| circles(&unit)).collect()
}

/// One finding per circle: the shortest one through each tangle of files.
fn circles(unit: &Unit) -> Vec<Finding> {
    let found = references(unit);
    let mut edges: Edges<'_> = BTreeMap::new();
    for reference in &found {
        edges.entry(&reference.from).or_default().entry(&reference.to).or_insert(reference);
    }
    let mut told: BTreeSet<&[String]> = BTreeSet::new();
    let mut findings = Vec::new();
    for start in unit.modules.keys() {
        if told.contains(start.as_slice()) {
            continue;
        }
        if let Some(circle) = shortest_circle(&edges, start) {
            told.extend(circle.iter().map(|reference| reference.from.as_slice()));
            let steps: Vec<_> = circle
                .iter()
                .map(|r| {
                    format!(
                        "{}:{} names {}",
                        unit.modules[&r.from].file.display(),
                        r.line,
                        unit.modules[&r.to].file.display()
                    )
                })
                .collect();
            let file = &unit.modules[start].file;
            findings.push(Finding::of(file, format!("a circle of {} files: {}", circle.len(), steps.join(", "))));
        }
    }
    findings
}

type Edges<'a> = BTreeMap<&'a [String], BTreeMap<&'a [String], &'a Reference>>;

/// The references that lead from `start` back to it, by the shortest way.
fn shortest_circle<'a>(edges: &Edges<'a>, start: &[String]) -> Option<Vec<&'a Reference>> {
    let mut came_by: BTreeMap<&[String], &Reference> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(from) = queue.pop_front() {
        for (to, reference) in edges.get(from).into_iter().flatten() {
            if *to == start {
                let mut circle = vec![*reference];
                while circle.last().expect("it starts with one").from != start {
                    let last = circle.last().expect("it starts with one").from.as_slice();
                    circle.push(came_by[last]);
                }
                circle.reverse();
                return Some(circle);
            }
            if !came_by.contains_key(to) {
                came_by.insert(to, reference);
                queue.push_back(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![("Cargo.toml", "[package]")];
        all.extend_from_slice(files);
        check(&Tree::of(&all)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_ladder_of_files_passes() {
        let ladder = [
            ("src/lib.rs", "mod a; mod b; mod c; pub use a::A;"),
            ("src/a.rs", "use crate::b::B; use crate::c::C; #[cfg(test)] mod tests { use super::*; }"),
            ("src/b.rs", "use crate::c::C;"),
            ("src/c.rs", "#[cfg(test)] mod tests { use crate::a::A; }"),
        ];
        assert_eq!(found(&ladder), [""; 0]);
    }

    #[test]
    fn a_circle_is_told_once_with_its_lines() {
        let circle = [
            ("src/lib.rs", "mod a; mod b; mod c;"),
            ("src/a.rs", "\nuse crate::b::B;"),
            ("src/b.rs", "fn f() { crate::c::g() }"),
            ("src/c.rs", "use super::a;"),
        ];
        assert_eq!(
            found(&circle),
            [
                "src/a.rs: a circle of 3 files: src/a.rs:2 names src/b.rs, src/b.rs:1 names src/c.rs, src/c.rs:1 names src/a.rs"
            ]
        );
    }

    #[test]
    fn a_child_that_needs_a_parent_that_needs_it_is_a_circle() {
        let circle = [("src/lib.rs", "mod a; fn f() { a::g() }"), ("src/a.rs", "use crate::f;")];
        assert_eq!(found(&circle).len(), 1);
    }
}
