//! Guarantees: each row of `docs/guarantees.md` names a test and a control that exist.
//!
//! A row is `| promise | test | control |`. A test is named as `` `path/to/file.rs::function` ``; a cell may name several. The control
//! is the test that fails, or proves that the rule's checker fails, once the guarantee is switched off.

use std::path::Path;

use super::tree::{Finding, Tree};
use crate::rust::tokens;

const FILE: &str = "docs/guarantees.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let file = Path::new(FILE);
    let Some(text) = tree.text(file) else {
        return vec![Finding::of(file, "expected the table of guarantees")];
    };
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some(cells) = row(line) else { continue };
        let [_, test, control] = cells.as_slice() else {
            findings.push(Finding::at(
                file,
                at + 1,
                format!("expected 3 cells (promise, test, control), found {}", cells.len()),
            ));
            continue;
        };
        for (what, cell) in [("test", test), ("control", control)] {
            let names = names(cell);
            if names.is_empty() {
                findings.push(Finding::at(file, at + 1, format!("the {what} cell names no `file::function`")));
            }
            let broken = names.into_iter().filter_map(|name| problem(tree, name));
            findings.extend(broken.map(|problem| Finding::at(file, at + 1, format!("the {what} {problem}"))));
        }
    }
    findings
}

/// The cells of a table row; nothing for prose, for the head of a table and for the rule below it.
fn row(line: &str) -> Option<Vec<&str>> {
    let inside = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<_> = inside.split('|').map(str::trim).collect();
    let is_head = cells.first().is_some_and(|first| first.eq_ignore_ascii_case("promise"));
    let is_rule = cells.iter().all(|cell| cell.chars().all(|c| c == '-' || c == ':'));
    (!is_head && !is_rule).then_some(cells)
}

/// What stands in backticks and has a `::`.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect()
}

fn problem(tree: &Tree, name: &str) -> Option<String> {
    let (file, inside) = name.split_once("::")?;
    let function = inside.rsplit("::").next().unwrap_or(inside);
    let Some(text) = tree.text(Path::new(file)) else {
        return Some(format!("`{name}` is in a file that does not exist"));
    };
    let exists = if file.ends_with(".py") {
        text.contains(&format!("def {function}("))
    } else {
        tokens(text).windows(2).any(|pair| pair[0].is_ident("fn") && pair[1].is_ident(function))
    };
    (!exists).then(|| format!("`{name}` names a function that the file lacks"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(row: &str) -> Vec<String> {
        let table = format!("# Guarantees\n\n| promise | test | control |\n| --- | --- | --- |\n{row}\n");
        let tree = Tree::of(&[
            (FILE, &table),
            ("a/b.rs", "mod tests { fn holds() {} }\n// fn gone() {}"),
            ("t.py", "async def works(x):"),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rows_that_name_what_exists_pass() {
        assert_eq!(found("| order | `a/b.rs::tests::holds`, `t.py::works` | `a/b.rs::holds` (no order) |"), [""; 0]);
    }

    #[test]
    fn rows_that_name_what_is_gone_are_told() {
        assert_eq!(found("| order | `a/b.rs::gone` | `a/c.rs::holds` |").len(), 2);
        assert_eq!(
            found("| order | `a/b.rs::holds` | none |"),
            ["docs/guarantees.md:5: the control cell names no `file::function`"]
        );
        assert_eq!(found("| order | `a/b.rs::holds` |").len(), 1);
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
