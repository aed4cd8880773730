//! One stage being run: its processes, its clock, its log under `target/xtask/`.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::budget::Stage;
use crate::failure::{Failure, NOT_RUN, Result};

/// How a stage ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
    pub(super) tests: Tests,
    pub(super) log: PathBuf,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// Why.
    Failed(String),
    /// What is missing.
    NotRun(String),
}

/// The tests that the stage's log tells of, as Rust's test harness counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tests {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) ignored: usize,
}

pub(super) struct Runner<'a> {
    root: &'a Path,
    logs: PathBuf,
    long: bool,
    interrupted: &'a AtomicBool,
}

/// How often a running stage is looked at.
const GLANCE: Duration = Duration::from_millis(20);

impl<'a> Runner<'a> {
    pub(super) fn new(root: &'a Path, long: bool, interrupted: &'a AtomicBool) -> Result<Self> {
        let logs = root.join("target/xtask");
        fs::create_dir_all(&logs)
            .map_err(|error| Failure::failed(format!("cannot create {}: {error}", logs.display())))?;
        Ok(Self { root, logs, long, interrupted })
    }

    pub(super) fn run(&self, stage: &Stage) -> Outcome {
        let log = self.logs.join(format!("{}.log", stage.name));
        let started = Instant::now();
        let verdict = match stage.needs.iter().find(|needed| !self.root.join(needed).exists()) {
            Some(missing) => Verdict::NotRun(format!("{missing} does not exist")),
            None => self.run_all(stage, &log, started).unwrap_or_else(|why| Verdict::Failed(why.to_string())),
        };
        let told = fs::read_to_string(&log).unwrap_or_default();
        Outcome { verdict, took: started.elapsed(), tests: Tests::told_by(&told), log }
    }

    fn run_all(&self, stage: &Stage, log: &Path, started: Instant) -> std::io::Result<Verdict> {
        let mut file = File::create(log)?;
        for line in stage.commands(self.long) {
            writeln!(file, "$ {line}")?;
            let mut child = self.spawn(stage, line, &file)?;
            let status = self.wait(&mut child, started + 2 * stage.budget(self.long))?;
            match status {
                None if self.interrupted.load(Ordering::Relaxed) => {
                    return Ok(Verdict::Failed("interrupted".to_owned()));
                }
                None => return Ok(Verdict::Failed("stopped at twice its budget".to_owned())),
                Some(status) if status.success() => {}
                Some(status) if status.code() == Some(i32::from(NOT_RUN)) => {
                    let told = fs::read_to_string(log)?;
                    let reason = told.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
                    return Ok(Verdict::NotRun(reason.to_owned()));
                }
                Some(status) => return Ok(Verdict::Failed(format!("`{line}` ended with {status}"))),
            }
        }
        Ok(Verdict::Passed)
    }

    fn spawn(&self, stage: &Stage, line: &str, log: &File) -> std::io::Result<Child> {
        let mut words = line.split_whitespace();
        let program = match words.next().unwrap_or_default() {
            "xtask" => env::current_exe()?,
            "cargo" => env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from),
            other => other.into(),
        };
        Command::new(program)
            .args(words)
            .current_dir(self.root)
            .envs(&stage.env)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .process_group(0)
            .spawn()
    }

    /// Waits for the child; past `end`, or when the user interrupts, its whole process group is killed and there is no status.
    fn wait(&self, child: &mut Child, end: Instant) -> std::io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= end || self.interrupted.load(Ordering::Relaxed) {
                let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id is positive");
                // The group may be gone already; the wait below settles it either way.
                let _ = kill_process_group(pid, Signal::KILL);
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(GLANCE);
        }
    }
}

impl Tests {
    /// Adds up every `test result:` line of a log.
    fn told_by(log: &str) -> Self {
        let mut sum = Self::default();
        for line in log.lines().filter(|line| line.starts_with("test result:")) {
            let words: Vec<_> = line.split([' ', '.', ';']).filter(|word| !word.is_empty()).collect();
            let count = |what: &str| {
                let at = words.iter().position(|word| *word == what)?;
                words.get(at.checked_sub(1)?)?.parse::<usize>().ok()
            };
            sum.passed += count("passed").unwrap_or(0);
            sum.failed += count("failed").unwrap_or(0);
            sum.ignored += count("ignored").unwrap_or(0);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(stage: &Stage) -> Outcome {
        let root = tempfile::tempdir().expect("a temporary folder");
        let calm = AtomicBool::new(false);
        Runner::new(root.path(), false, &calm).expect("a place for logs").run(stage)
    }

    #[test]
    fn a_stage_passes_or_fails_with_its_command() {
        assert_eq!(outcome(&Stage::of("true", 60)).verdict, Verdict::Passed);
        assert!(matches!(outcome(&Stage::of("false", 60)).verdict, Verdict::Failed(_)));
        assert!(matches!(outcome(&Stage::of("no-such-program", 60)).verdict, Verdict::Failed(_)));
    }

    #[test]
    fn exit_code_77_means_not_run_and_the_last_line_says_why() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let script = root.path().join("script.sh");
        fs::write(&script, "echo started\necho 'no compiler here' >&2\nexit 77\n").unwrap();
        let stage = Stage::of(&format!("sh {}", script.display()), 60);
        assert_eq!(outcome(&stage).verdict, Verdict::NotRun("no compiler here".into()));
    }

    #[test]
    fn a_stage_that_lacks_a_file_is_not_run() {
        let mut stage = Stage::of("true", 60);
        stage.needs.push("no/such/file".into());
        assert_eq!(outcome(&stage).verdict, Verdict::NotRun("no/such/file does not exist".into()));
    }

    #[test]
    fn a_stage_is_stopped_at_twice_its_budget_with_all_its_processes() {
        let stage = Stage::of("sh -c sleep${IFS}600&wait", 0);
        let outcome = outcome(&stage);
        assert_eq!(outcome.verdict, Verdict::Failed("stopped at twice its budget".into()));
        assert!(outcome.took < Duration::from_secs(60));
    }

    #[test]
    fn tests_are_counted_over_all_binaries() {
        let log = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out\nx\n\
                   test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(Tests::told_by(log), Tests { passed: 15, failed: 2, ignored: 1 });
    }
}
