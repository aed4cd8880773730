//! Dead files: a Rust file that no `mod` line reaches is compiled by nobody.

use std::collections::BTreeSet;

use super::tree::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let packages: Vec<_> = tree.packages().map(|(folder, _)| folder.to_path_buf()).collect();
    let units: Vec<_> = packages.iter().flat_map(|folder| tree.units(folder)).collect();
    let reached: BTreeSet<_> = units.iter().flat_map(|unit| unit.files()).collect();
    tree.with_extension("rs")
        .filter(|(file, _)| !reached.contains(file))
        .map(|(file, _)| Finding::of(file, "no `mod` line reaches this file; add one or remove the file"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_nothing_reaches_is_told() {
        let tree = Tree::of(&[
            ("x/Cargo.toml", "[package]"),
            ("x/src/lib.rs", "mod a;"),
            ("x/src/a.rs", ""),
            ("x/src/b.rs", ""),
            ("x/src/bin/tool.rs", ""),
            ("x/tests/it.rs", "mod support;"),
            ("x/tests/support/mod.rs", ""),
            ("x/tests/lost/mod.rs", ""),
        ]);
        let found: Vec<_> =
            check(&tree).iter().map(|finding| finding.to_string().split(':').next().unwrap().to_owned()).collect();
        assert_eq!(found, ["x/src/b.rs", "x/tests/lost/mod.rs"]);
    }
}
