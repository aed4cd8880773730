//! Files of tests run and judged, whatever harness they are written for.

use std::time::{Duration, Instant};

use super::expect::{Ending, Endings, Expected};
use crate::failure::{Failure, Result};

/// How a suite runs some tests of one of its files.
pub(super) trait Runner {
    /// Runs all tests but those named, or only those named.
    fn run(&mut self, file: &str, choice: Choice<'_>) -> Result<Endings>;
}

/// Which tests to run.
#[derive(Clone, Copy)]
pub(super) enum Choice<'a> {
    AllBut(&'a [&'a str]),
    Only(&'a [&'a str]),
}

/// Runs every file and compares its results with what is pinned.
///
/// These tests are not ours and many of them race a clock, so one that failed is run once more, alone; the summary tells.
pub(super) fn judge(files: &[Expected], all: bool, runner: &mut dyn Runner) -> Result<()> {
    let mut wrong = Vec::new();
    for file in files {
        let started = Instant::now();
        let left_out: Vec<&str> = file.skipped.keys().map(String::as_str).filter(|_| !all).collect();
        let mut endings = runner.run(&file.name, Choice::AllBut(&left_out))?;
        let failed: Vec<String> = endings
            .iter()
            .filter(|(name, ending)| **ending == Ending::Failed && !file.failing.contains_key(*name))
            .map(|(name, _)| name.clone())
            .collect();
        if !failed.is_empty() && !all {
            let names: Vec<&str> = failed.iter().map(String::as_str).collect();
            println!("{}: once more, alone: {}", file.name, names.join(", "));
            endings.extend(runner.run(&file.name, Choice::Only(&names))?);
        }
        report(file, &endings, started.elapsed());
        wrong.extend(file.disagreements(&endings).into_iter().map(|why| format!("{}: {why}", file.name)));
    }
    if wrong.is_empty() || all {
        return Ok(());
    }
    Err(Failure::failed(wrong.join("; ")))
}

fn report(file: &Expected, endings: &Endings, took: Duration) {
    println!("{}: {} ({:.0} s)", file.name, file.counts(endings), took.as_secs_f64());
    for (name, ending) in endings {
        match (ending, file.failing.get(name)) {
            (Ending::Failed, Some(reason)) => println!("  known to fail: {name}: {reason}"),
            (Ending::Failed, None) => println!("  FAILED: {name}"),
            _ => {}
        }
    }
}
