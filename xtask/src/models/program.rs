//! The program that a build for models makes: which models it has, and what they say.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::failure::{Failure, Result};

/// What the names of all models have in them.
const MODELS: &str = "::models::";
/// So much of the end of what a failing model says is shown.
const LINES: usize = 30;

/// The tests of the shared-memory plane, built for models.
pub(super) struct Program {
    path: PathBuf,
    /// The names of all models.
    pub(super) models: Vec<String>,
}

impl Program {
    /// Builds it for `loom` or for `shuttle`.
    pub(super) fn build(root: &Path, with: &str) -> Result<Self> {
        let path = build(root, with)?;
        let models = models(&path)?;
        if models.is_empty() {
            return Err(Failure::failed(format!("expected models under {with}, found none")));
        }
        Ok(Self { path, models })
    }

    /// What `model` says when it fails with these variables in its environment; `None` if it passes. One that loom stops with an abort has failed too.
    pub(super) fn failure_of(&self, model: &str, variables: &[(&str, String)]) -> Result<Option<String>> {
        let output = Command::new(&self.path)
            .args(["--exact", "-q", model])
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("SHUTTLE_SILENCE_WARNINGS", "1")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::failed(format!("{model}: {error}")))?;
        if output.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        Ok(Some(format!("{}\n{}", output.status, lines[lines.len().saturating_sub(LINES)..].join("\n"))))
    }
}

/// Builds the tests of the shared-memory plane for models; the program.
fn build(root: &Path, with: &str) -> Result<PathBuf> {
    let flags = if with == "shuttle" { "--cfg loom --cfg shuttle" } else { "--cfg loom" };
    let output = Command::new("cargo")
        .args(["test", "--locked", "-p", "crosstie-shm", "--lib", "--no-run", "--message-format=json", "--target-dir"])
        .arg(root.join("target/models").join(with))
        .env("RUSTFLAGS", flags)
        // A model is run millions of times.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::failed(format!("cargo: {error}")))?;
    if !output.status.success() {
        return Err(Failure::failed(format!("the models do not build under {with}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let program =
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
            let is_it = message["target"]["name"] == "crosstie_shm" && message["profile"]["test"] == true;
            message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
        });
    program.ok_or_else(|| Failure::failed("expected cargo to name the program of the models"))
}

/// The names of all models.
fn models(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program)
        .args(["--list", MODELS])
        .output()
        .map_err(|error| Failure::failed(format!("{}: {error}", program.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Does `work` for each of `items`, as many at a time as there are processors; what came of it, in their order.
pub(super) fn at_once<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((at, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
                {
                    let result = work(item);
                    done.lock().expect("no worker panics while it has this").push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no worker has panicked");
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_at_once_comes_back_in_order() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(at_once(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
    }
}
