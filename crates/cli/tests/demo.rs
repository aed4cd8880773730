//! The demo: its books balance whoever is killed, and without locks they do not; whatever ends the supervisor, nothing of it stays behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

const LONG: Duration = Duration::from_secs(60);

/// Where the parts meet, and where their shared memory is.
struct Folders {
    root: TempDir,
    meeting: PathBuf,
    segments: PathBuf,
}

impl Folders {
    fn new() -> Self {
        let root = tempdir().unwrap();
        let (meeting, segments) = (root.path().join("meeting"), root.path().join("segments"));
        fs::create_dir(&meeting).unwrap();
        Self { root, meeting, segments }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    /// What there is of demos: directories, and segments.
    fn left(&self) -> (usize, usize) {
        let count = |folder: &Path| fs::read_dir(folder).unwrap().count();
        (count(&self.meeting), count(&self.segments))
    }

    fn crosstie(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosstie"));
        command.env("TMPDIR", &self.meeting).env("CROSSTIE_DIR", &self.segments).env_remove("CROSSTIE_DIR_GROUP");
        command
    }

    /// The one lock that the demo has, as `crosstie locks` tells of it.
    fn lock(&self) -> Value {
        let output = self.crosstie().args(["locks", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }
}

fn demo(folder: &Folders, arguments: &[&str]) -> Command {
    let mut command = folder.crosstie();
    // The environment is for brokers of the user's own: the demo's would not start with this.
    command.env("CROSSTIE_REACTORS", "nonsense");
    command.arg("demo").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A demo whose every part runs.
fn running(folder: &Folders, arguments: &[&str]) -> Child {
    let mut child = demo(folder, arguments).spawn().unwrap();
    until("every part runs", || {
        assert_eq!(child.try_wait().unwrap(), None, "the demo has ended");
        parts(folder.path()).len() == 5
    });
    child
}

/// The command lines of the parts that meet below `folder`.
fn parts(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let lines =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&folder)).collect()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "{what}");
    }
}

#[test]
fn nothing_outlives_a_supervisor_that_is_killed_and_the_next_demo_clears_up() {
    let folder = Folders::new();
    let mut child = running(&folder, &[]);
    // The control: a demo that lives is left alone by the next.
    assert!(demo(&folder, &["--seconds", "0.1"]).status().is_ok());
    assert_eq!((parts(folder.path()).len(), folder.left()), (5, (1, 1)));
    child.kill().unwrap();
    child.wait().unwrap();
    until("the parts are gone with their supervisor", || parts(folder.path()).is_empty());
    assert_eq!(folder.left(), (1, 1));
    // A process that shows no command line any more may take a moment to let go of its files.
    until("the next demo clears up", || {
        assert!(demo(&folder, &["--seconds", "0.1"]).status().is_ok());
        folder.left() == (0, 0)
    });
}

#[test]
fn a_terminal_that_is_closed_ends_the_demo_with_its_books_checked() {
    let folder = Folders::new();
    for signal in [Signal::HUP, Signal::TERM, Signal::INT] {
        let child = running(&folder, &[]);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(" answered, "), "{signal:?}: {output:?}");
        assert!(parts(folder.path()).is_empty() && folder.left() == (0, 0), "{signal:?}");
        let words = String::from_utf8_lossy(&output.stderr);
        for part in ["broker", "bank-1", "bank-2", "auditor", "client"] {
            assert!(words.contains(&format!("{part} runs, PID ")), "{words}");
        }
    }
}

/// The last word of a demo that has ended, and its exit code.
fn told(output: &std::process::Output) -> (Value, Option<i32>) {
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}")), output.status.code())
}

#[test]
fn the_books_balance_under_chaos() {
    let folder = Folders::new();
    let output = demo(&folder, &["--seconds", "3", "--chaos", "--json"]).output().unwrap();
    let (end, code) = told(&output);
    assert_eq!((&end["balanced"], code), (&true.into(), Some(0)), "{output:?}");
    assert_eq!((&end["locks"], &end["lost"], &end["torn"]), (&true.into(), &0.into(), &0.into()));
    assert!(end["restarts"].as_u64() > Some(0) && end["readings"].as_u64() > Some(0), "{end}");
    assert_eq!(folder.left(), (0, 0));
}

#[test]
fn control_without_locks_updates_are_lost_and_reads_are_torn() {
    let folder = Folders::new();
    let begun = Instant::now();
    // How the processes meet is chance, so a second may pass well.
    loop {
        let output = demo(&folder, &["--seconds", "1", "--no-locks"]).output().unwrap();
        assert_eq!(folder.left(), (0, 0));
        let (words, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let is_both = !words.contains(" 0 updates lost") && !words.contains(" 0 transfers seen torn");
        if is_both && words.contains("THE BOOKS DO NOT BALANCE") {
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(told.contains("crosstie: the books do not balance: lost "), "{told}");
            break;
        }
        assert!(begun.elapsed() < LONG, "all goes well without a lock: {words}");
    }
}

/// The process ids of the two banks.
fn banks(folder: &Path) -> Vec<Pid> {
    let folder = folder.display().to_string();
    let is_bank = |line: &[u8]| {
        let line = String::from_utf8_lossy(line).replace('\0', " ");
        line.contains(&folder) && line.contains("--part bank")
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let banks = processes.filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| is_bank(&line)));
    banks.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

#[test]
fn whoever_gets_the_accounts_after_a_killed_bank_is_told() {
    let folder = Folders::new();
    let child = running(&folder, &["--json"]);
    // Stopped in the middle, a bank keeps the lock, and there is time to see that it has it.
    until("a bank is stopped that has the lock", || {
        banks(folder.path()).into_iter().any(|bank| {
            // It may have been started again since.
            if kill_process(bank, Signal::STOP).is_err() {
                return false;
            }
            let lock = folder.lock();
            let is_holder = lock["holders"][0]["who"]["pid"] == bank.as_raw_nonzero().get();
            if is_holder {
                assert!(lock["holders"][0]["who"]["name"].as_str().unwrap().starts_with("bank-"), "{lock}");
            }
            kill_process(bank, if is_holder { Signal::KILL } else { Signal::CONT }).unwrap();
            is_holder
        })
    });
    let commits = |lock: &Value| lock["commits"].as_u64().unwrap();
    let mut recovered = None;
    until("another has the lock and is told", || {
        let lock = folder.lock();
        let is_told = lock["recoveries"].as_u64() > Some(0) && lock["untold_deaths"] == 0;
        recovered = is_told.then(|| commits(&lock));
        is_told
    });
    // Whoever was told has committed what it counted by then.
    until("the books go on", || recovered.is_some_and(|before| commits(&folder.lock()) >= before + 2));
    until("there are two banks again", || banks(folder.path()).len() == 2);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let (end, code) = told(&output);
    assert_eq!((&end["balanced"], code), (&true.into(), Some(0)), "{output:?}");
    assert!(end["deaths_with_lock"].as_u64() > Some(0) && end["restarts"].as_u64() > Some(0), "{end}");
    assert_eq!(folder.left(), (0, 0));
}
