//! Headers: the first line of a Rust file says, as a sentence, what the file is.

use super::tree::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.with_extension("rs")
        .filter_map(|(file, text)| {
            let mut lines = text.lines();
            let first = lines.next().unwrap_or_default();
            let header: String = std::iter::once(first)
                .chain(lines)
                .map_while(|line| line.strip_prefix("//!"))
                .map(str::trim)
                .take_while(|line| !line.is_empty())
                .collect::<Vec<_>>()
                .join(" ");
            let problem = if header.is_empty() {
                "expected `//! What this file is.` as the first line"
            } else if !header.contains(['.', '?', ':']) {
                "expected the header to be a sentence: end it with a full stop"
            } else if header.to_lowercase().contains("copyright") {
                "expected what the file is as its first line; licences stand in LICENSE-*"
            } else {
                return None;
            };
            Some(Finding::at(file, 1, problem))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_must_be_a_sentence_on_the_first_line() {
        let tree = Tree::of(&[
            ("good.rs", "//! A bounded queue.\n\nfn f() {}"),
            ("wrapped.rs", "//! A bounded queue that goes on\n//! over two lines.\n"),
            ("none.rs", "use std::fmt;\n"),
            ("late.rs", "\n//! A queue.\n"),
            ("licence.rs", "//! Copyright 2026 the authors.\n"),
            ("unfinished.rs", "//! A queue\n"),
        ]);
        let found: Vec<_> =
            check(&tree).iter().map(|finding| finding.to_string().split(':').next().unwrap().to_owned()).collect();
        assert_eq!(found, ["late.rs", "licence.rs", "none.rs", "unfinished.rs"]);
    }
}
