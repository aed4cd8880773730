//! The end of the demo: whatever ends the supervisor, no process and no directory of it stays behind.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

fn demo(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosstie"));
    // The environment is for brokers of the user's own: the demo's would not start with this.
    command.env("TMPDIR", folder.path()).env("CROSSTIE_REACTORS", "nonsense");
    command.arg("demo").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A demo whose every part runs.
fn running(folder: &TempDir) -> Child {
    let child = demo(folder, &[]).spawn().unwrap();
    until("every part runs", || parts(folder.path()).len() == 5);
    child
}

/// The command lines of the parts that meet below `folder`.
fn parts(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let lines =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&folder)).collect()
}

fn left(folder: &TempDir) -> usize {
    fs::read_dir(folder.path()).unwrap().count()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "{what}");
    }
}

#[test]
fn nothing_outlives_a_supervisor_that_is_killed_and_the_next_demo_clears_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = running(&folder);
    // The control: a demo that lives is left alone by the next.
    assert!(demo(&folder, &["--seconds", "0.1"]).status().is_ok());
    assert_eq!((parts(folder.path()).len(), left(&folder)), (5, 1));
    child.kill().unwrap();
    child.wait().unwrap();
    until("the parts are gone with their supervisor", || parts(folder.path()).is_empty());
    assert_eq!(left(&folder), 1);
    assert!(demo(&folder, &["--seconds", "0.1"]).status().is_ok());
    assert_eq!(left(&folder), 0);
}

#[test]
fn a_terminal_that_is_closed_ends_the_demo_with_its_books_checked() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::HUP, Signal::TERM, Signal::INT] {
        let child = running(&folder);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(" answered, "), "{signal:?}: {output:?}");
        assert!(parts(folder.path()).is_empty() && left(&folder) == 0, "{signal:?}");
        let words = String::from_utf8_lossy(&output.stderr);
        for part in ["broker", "bank-1", "bank-2", "auditor", "client"] {
            assert!(words.contains(&format!("{part} runs, PID ")), "{words}");
        }
    }
}
