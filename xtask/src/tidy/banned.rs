//! Banned names, words and calls, each with what to do instead.

use std::path::Path;

use super::tree::{Finding, Tree};
use crate::rust::{Kind, Token, tokens, without_tests};

/// Names that say nothing about what a file or folder holds.
const NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];
/// Notes to self. Spelled in halves, so that this file does not break its own rule.
const NOTES: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];
/// Macros that mark what is not done.
const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];
/// Where time is an argument: one seed must replay a whole run.
const PURE: [&str; 5] =
    ["crates/core/src", "crates/proto/src", "crates/log/src", "crates/client/src/session", "crates/broker/src/core"];
/// The one pure-crate file that may ask the operating system for the time: the clock that it hands to everyone else.
const CLOCK: &str = "crates/core/src/clock";
/// Where code may be unsafe.
const UNSAFE: [&str; 3] = ["crates/sys", "crates/shm", "bindings/c"];
/// A derive writes the word into other crates, beside the assertions that make it true; its own crate forbids it.
const WRITES_UNSAFE: &str = "crates/macros/src/shm_safe";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, text) in tree.with_extension("rs") {
        findings.extend(name(file));
        findings.extend(notes(file, text));
        findings.extend(macros(file, &tokens(text)));
        findings.extend(clock(file, &without_tests(&tokens(text))));
        findings.extend(unsafe_wall(file, &tokens(text)));
    }
    for extension in ["rs", "md", "toml"] {
        findings.extend(tree.with_extension(extension).flat_map(|(file, text)| conflicts(file, text)));
    }
    findings
}

fn name(file: &Path) -> Option<Finding> {
    let says_nothing =
        file.with_extension("").components().any(|part| NAMES.iter().any(|name| part.as_os_str() == *name));
    says_nothing.then(|| Finding::of(file, "the name says nothing; name the file after the thing it holds"))
}

fn notes(file: &Path, text: &str) -> Vec<Finding> {
    let is_word =
        |line: &str, word: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word);
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| NOTES.iter().any(|note| is_word(line, note)))
        .map(|(at, _)| Finding::at(file, at + 1, "a note to self; do it, or write down why not"))
        .collect()
}

/// What a merge leaves behind where it could not decide.
fn conflicts(file: &Path, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "))
        .map(|(at, _)| Finding::at(file, at + 1, "a merge was not finished here"))
        .collect()
}

fn macros(file: &Path, tokens: &[Token]) -> Vec<Finding> {
    let calls = tokens.windows(2).filter(|pair| pair[1].is_punct('!'));
    let calls = calls.filter_map(|pair| Some((pair[0].line, pair[0].ident()?)));
    let unfinished = calls.filter(|(_, word)| MACROS.contains(word));
    unfinished
        .map(|(line, word)| Finding::at(file, line, format!("`{word}!` marks what is not done; finish it")))
        .collect()
}

/// Tests may look at the clock; a file of tests is one that is called so.
fn clock(file: &Path, tokens: &[Token]) -> Vec<Finding> {
    let is_clock = file.starts_with(CLOCK) || file.with_extension("").starts_with(CLOCK);
    let is_tests = file.with_extension("").components().any(|part| part.as_os_str() == "tests");
    if !is_in(file, &PURE) || is_clock || is_tests {
        return Vec::new();
    }
    let reads = tokens.windows(3).filter(|part| part[1].kind == Kind::PathSep && part[2].is_ident("now"));
    let reads = reads.filter_map(|part| Some((part[0].line, part[0].ident()?)));
    let reads = reads.filter(|(_, word)| matches!(*word, "Instant" | "SystemTime"));
    reads
        .map(|(line, word)| {
            Finding::at(file, line, format!("`{word}::now` in pure code; take the time as an argument"))
        })
        .collect()
}

/// Unsafe code stands behind one wall, and every crate outside it says so where the compiler reads it.
fn unsafe_wall(file: &Path, tokens: &[Token]) -> Vec<Finding> {
    if is_in(file, &UNSAFE) || file.starts_with(WRITES_UNSAFE) || file == Path::new(WRITES_UNSAFE).with_extension("rs")
    {
        return Vec::new();
    }
    let mut findings: Vec<_> = tokens
        .iter()
        .filter(|token| token.is_ident("unsafe"))
        .map(|token| {
            Finding::at(
                file,
                token.line,
                "unsafe code outside `sys`, `shm` and `bindings/c`; move the call behind a safe function there",
            )
        })
        .collect();
    let is_root = file.ends_with("src/lib.rs") || file.ends_with("src/main.rs");
    let forbids = tokens.windows(3).any(|part| part[0].is_ident("forbid") && part[2].is_ident("unsafe_code"));
    if is_root && !forbids {
        findings.push(Finding::of(file, "expected `#![forbid(unsafe_code)]`"));
    }
    findings
}

fn is_in(file: &Path, places: &[&str]) -> bool {
    places.iter().any(|place| file.starts_with(place) || file == Path::new(place).with_extension("rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn names_that_say_nothing_are_told() {
        assert_eq!(found("crates/net/src/util.rs", ""), 1);
        assert_eq!(found("crates/net/src/common/mod.rs", ""), 1);
        assert_eq!(found("crates/net/src/utility_room.rs", ""), 0);
    }

    #[test]
    fn notes_and_unfinished_code_are_told() {
        assert_eq!(found("a/b.rs", &format!("// {}: later", NOTES[0])), 1);
        assert_eq!(found("a/b.rs", &format!("let {}Y = 1;", NOTES[1])), 0);
        assert_eq!(found("a/b.rs", "fn f() { todo!() }"), 1);
        assert_eq!(found("a/b.rs", "fn f() { \"todo!\"; let todo = !x; }"), 0);
    }

    #[test]
    fn an_unfinished_merge_is_told() {
        assert_eq!(found("docs/a.md", "x\n<<<<<<< HEAD\ny\n=======\nz\n>>>>>>> other\n"), 2);
        assert_eq!(found("docs/a.md", "Title\n=======\n"), 0);
    }

    #[test]
    fn the_clock_is_read_only_outside_pure_code() {
        let reads = "fn f() { std::time::Instant::now(); }";
        assert_eq!(found("crates/proto/src/nats/a.rs", reads), 1);
        assert_eq!(found("crates/client/src/session.rs", reads), 1);
        assert_eq!(found("crates/client/src/driver.rs", reads), 0);
        assert_eq!(found("crates/core/src/clock.rs", reads), 0);
        assert_eq!(found("crates/core/src/clock/system.rs", reads), 0);
        assert_eq!(found("crates/core/src/subject.rs", reads), 1);
        assert_eq!(found("crates/core/src/subject/tests.rs", reads), 0);
        assert_eq!(found("crates/core/src/subject.rs", &format!("#[test] {reads}")), 0);
    }

    #[test]
    fn unsafe_code_stays_behind_the_wall() {
        assert_eq!(found("crates/net/src/a.rs", "fn f() { unsafe { g() } }"), 1);
        assert_eq!(found("crates/sys/src/a.rs", "fn f() { unsafe { g() } }"), 0);
        assert_eq!(found("crates/net/src/lib.rs", "mod a;"), 1);
        assert_eq!(found("crates/net/src/lib.rs", "#![forbid(unsafe_code)] mod a;"), 0);
    }
}
