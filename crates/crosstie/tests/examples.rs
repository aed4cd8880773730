//! The examples, run as the programs that they are.

use std::{path::PathBuf, process::Command};

/// An example, which `cargo test` builds beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    assert!(built.is_file(), "expected {}, which `cargo test -p crosstie` builds", built.display());
    built
}

#[test]
fn two_processes_talk_over_a_ring_that_they_know_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let segments = folder.path().join("segments");
    let output = Command::new(example("ring")).env("CROSSTIE_DIR", &segments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "10 orders, 2500 cents\n");
    assert_eq!(std::fs::read_dir(&segments).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_child_books_what_its_parent_tells_it_in_a_region_that_both_share() {
    let output = Command::new(example("spawn")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.ends_with("the books say [400, 600]\n") && text.matches("booked").count() == 3, "{text}");
}
