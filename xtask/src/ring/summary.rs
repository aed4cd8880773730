//! What the ring prints: a line as each stage ends, a table at the end, and the counts as the very last line.

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use super::budget::Stage;
use super::stage::{Outcome, Verdict};

/// How many lines of a failed stage's log are shown from its end, and how many that tell of trouble from before that.
const LAST_LINES: usize = 30;
const TROUBLE_LINES: usize = 60;

pub(super) struct Summary {
    must_run_all: bool,
    colours: bool,
    lines: Vec<String>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

#[derive(Clone, Copy)]
enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Summary {
    pub(super) fn new(must_run_all: bool, colours: bool) -> Self {
        Self { must_run_all, colours, lines: Vec::new(), passed: 0, failed: 0, skipped: 0 }
    }

    pub(super) fn starts(&self, stage: &Stage) {
        println!("{:>10}  {}", stage.name, stage.checks);
    }

    pub(super) fn ends(&mut self, stage: &Stage, budget: Duration, outcome: Outcome) {
        let fails = match outcome.verdict {
            Verdict::Passed => false,
            Verdict::Failed(_) => true,
            Verdict::NotRun(_) => self.must_run_all,
        };
        self.count(&outcome, fails);
        let line = self.line(stage, budget, &outcome);
        println!("{line}");
        if fails && let Ok(log) = fs::read_to_string(&outcome.log) {
            for shown in excerpt(&log) {
                println!("            | {shown}");
            }
            println!("            whole log: {}", outcome.log.display());
        }
        self.lines.push(line);
    }

    /// Prints the table and the counts; the counts are the last line.
    pub(super) fn print(self, took: Duration) -> ExitCode {
        println!("\n{}\n            {:.0} s in all", self.lines.join("\n"), took.as_secs_f64());
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// A stage counts by its tests if it tells of any, else as one.
    fn count(&mut self, outcome: &Outcome, fails: bool) {
        let tests = outcome.tests;
        self.passed += tests.passed;
        self.failed += tests.failed;
        self.skipped += tests.ignored;
        let tells_of_tests = tests.passed + tests.failed > 0;
        match outcome.verdict {
            Verdict::Passed if !tells_of_tests => self.passed += 1,
            Verdict::NotRun(_) if !fails => self.skipped += 1,
            _ if fails && tests.failed == 0 => self.failed += 1,
            _ => {}
        }
    }

    fn line(&self, stage: &Stage, budget: Duration, outcome: &Outcome) -> String {
        let (word, colour, why) = match &outcome.verdict {
            Verdict::Passed if outcome.took > budget => ("ok", Colour::Yellow, "over its budget"),
            Verdict::Passed => ("ok", Colour::Green, ""),
            Verdict::Failed(why) => ("FAILED", Colour::Red, why.as_str()),
            Verdict::NotRun(why) => {
                let colour = if self.must_run_all { Colour::Red } else { Colour::Yellow };
                return format!("{:>10}  {}: {why}", stage.name, self.paint("NOT RUN", colour));
            }
        };
        let word = self.paint(&format!("{word:<6}"), colour);
        let mut line =
            format!("{:>10}  {word} {:>6.1} s of {:>4} s", stage.name, outcome.took.as_secs_f64(), budget.as_secs());
        let tests = outcome.tests;
        if tests.passed + tests.failed > 0 {
            let _ = write!(line, "  {} tests", tests.passed + tests.failed);
        }
        if !why.is_empty() {
            let _ = write!(line, "  {why}");
        }
        line
    }

    fn paint(&self, word: &str, colour: Colour) -> String {
        if self.colours { format!("\u{1b}[{}m{word}\u{1b}[0m", colour as u8) } else { word.to_owned() }
    }
}

/// What of a failed stage's log is worth a look: each line that tells of trouble with the two after it, and the end.
fn excerpt(log: &str) -> Vec<&str> {
    const TROUBLE: [&str; 5] = ["error", "FAILED", "failed", "panicked at", "assertion"];
    let lines: Vec<_> = log.lines().collect();
    let (before, last) = lines.split_at(lines.len().saturating_sub(LAST_LINES));
    let tells = |line: &str| TROUBLE.iter().any(|word| line.contains(word)) && !line.contains(" 0 failed");
    let is_near = |at: usize| before[at.saturating_sub(2)..=at].iter().any(|line| tells(line));
    let trouble = (0..before.len()).filter(|at| is_near(*at)).map(|at| before[at]);
    trouble.take(TROUBLE_LINES).chain(last.iter().copied()).collect()
}

/// The stages with their budgets in `test` and in `--long`.
pub(super) fn list(stages: &[&Stage]) -> String {
    let mut list = String::new();
    for stage in stages {
        let (test, long) = (stage.budget(false).as_secs(), stage.budget(true).as_secs());
        let _ = writeln!(list, "{:>10}  {test:>5} s  {long:>5} s  {}", stage.name, stage.checks);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::stage::Tests;

    fn counts(must_run_all: bool, verdict: Verdict, tests: Tests) -> (usize, usize, usize) {
        let mut summary = Summary::new(must_run_all, false);
        let outcome = Outcome { verdict, took: Duration::ZERO, tests, log: "/nowhere".into() };
        summary.ends(&Stage::of("true", 1), Duration::from_secs(1), outcome);
        (summary.passed, summary.failed, summary.skipped)
    }

    #[test]
    fn a_stage_counts_by_its_tests_or_as_one() {
        let none = Tests::default();
        assert_eq!(counts(false, Verdict::Passed, none), (1, 0, 0));
        assert_eq!(counts(false, Verdict::Passed, Tests { passed: 7, failed: 0, ignored: 2 }), (7, 0, 2));
        assert_eq!(
            counts(false, Verdict::Failed(String::new()), Tests { passed: 7, failed: 3, ignored: 0 }),
            (7, 3, 0)
        );
        assert_eq!(
            counts(false, Verdict::Failed(String::new()), Tests { passed: 7, failed: 0, ignored: 0 }),
            (7, 1, 0)
        );
        assert_eq!(counts(false, Verdict::Failed(String::new()), none), (0, 1, 0));
    }

    #[test]
    fn the_excerpt_shows_trouble_from_the_middle_and_the_end() {
        let quiet = "test a ... ok\n".repeat(100);
        let log = format!(
            "{quiet}thread 'b' panicked at x.rs:1:\nleft: 1\nright: 2\n{quiet}test result: ok. 9 passed; 0 failed\nend"
        );
        let shown = excerpt(&log);
        assert_eq!(shown[..3], ["thread 'b' panicked at x.rs:1:", "left: 1", "right: 2"]);
        assert_eq!(shown.last(), Some(&"end"));
        assert_eq!(shown.len(), 3 + LAST_LINES);
    }

    #[test]
    fn a_stage_that_did_not_run_fails_where_all_must_run() {
        assert_eq!(counts(false, Verdict::NotRun(String::new()), Tests::default()), (0, 0, 1));
        assert_eq!(counts(true, Verdict::NotRun(String::new()), Tests::default()), (0, 1, 0));
    }
}
