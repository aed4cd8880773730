//! Links: every relative link in a Markdown file leads to a file, and to a heading if it names one.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::tree::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.with_extension("md").flat_map(|(file, text)| check_file(tree, file, text)).collect()
}

fn check_file(tree: &Tree, file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, target) in links(text) {
        let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
        if is_elsewhere {
            continue;
        }
        let (path, anchor) =
            target.split_once('#').map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
        let goal = if path.is_empty() {
            file.to_path_buf()
        } else {
            join(file.parent().unwrap_or_else(|| Path::new("")), path)
        };
        if tree.text(&goal).is_none() && !tree.root().join(&goal).exists() {
            findings.push(Finding::at(
                file,
                line,
                format!("the link `{target}` leads to {}, which does not exist", goal.display()),
            ));
            continue;
        }
        if let (Some(anchor), Some(text)) = (anchor, tree.text(&goal))
            && goal.extension().is_some_and(|e| e == "md")
            && !anchors(text).contains(&anchor.to_owned())
        {
            findings.push(Finding::at(
                file,
                line,
                format!("the link `{target}` names a heading that {} lacks", goal.display()),
            ));
        }
    }
    findings
}

/// Line and target of each `[text](target)` outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, prose) in prose(text) {
        let mut rest = prose.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let Some(end) = rest.find(')') else { break };
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            found.push((line, target.trim_matches(['<', '>']).to_owned()));
            rest = &rest[end..];
        }
    }
    found
}

/// The anchors of a file's headings, made as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (_, line) in fenced_out(text) {
        let level = line.len() - line.trim_start_matches('#').len();
        let Some(title) = line[level..].strip_prefix(' ').filter(|_| (1..=6).contains(&level)) else {
            continue;
        };
        let slug: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let times = seen.entry(slug.clone()).or_default();
        found.push(if *times == 0 { slug } else { format!("{slug}-{times}") });
        *times += 1;
    }
    found
}

/// The lines outside fenced code, with inline code blanked.
fn prose(text: &str) -> Vec<(usize, String)> {
    fenced_out(text)
        .map(|(number, line)| {
            let parts: Vec<_> =
                line.split('`').enumerate().map(|(at, part)| if at % 2 == 0 { part } else { "" }).collect();
            (number, parts.concat())
        })
        .collect()
}

fn fenced_out(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        (!inside && !is_fence).then_some((at + 1, line))
    })
}

/// `folder` and the relative `path` as one path without dots; a path that starts with `/` counts from the root of the project.
fn join(folder: &Path, path: &str) -> PathBuf {
    let mut joined = if path.starts_with('/') { PathBuf::new() } else { folder.to_path_buf() };
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => {
                joined.pop();
            }
            Component::Normal(name) => joined.push(name),
            _ => {}
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let files = [
            (
                "README.md",
                "[a](docs/a.md) [b](docs/a.md#two-words-1) [c](#here) [d](https://x.y/z) `[e](no.md)`\n```\n[f](no.md)\n```\n# Here",
            ),
            ("docs/a.md", "## Two `words`!\n# Two words\n[up](../README.md#here)"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn a_missing_file_and_a_missing_heading_are_told() {
        let files = [("docs/a.md", "# A\n[x](b.md)\n[y](#b) and [z](../docs/a.md#a)")];
        assert_eq!(
            found(&files),
            [
                "docs/a.md:2: the link `b.md` leads to docs/b.md, which does not exist",
                "docs/a.md:3: the link `#b` names a heading that docs/a.md lacks"
            ]
        );
    }
}
