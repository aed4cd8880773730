//! A directory of segments of a test's own, and the command run against it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use crosstie::shm::Directory;
use serde_json::Value;
use tempfile::TempDir;

use crate::terminal::{read_all, terminal};

pub(crate) struct Place {
    _root: TempDir,
    /// Nothing is there until somebody makes it.
    pub(crate) segments: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let segments = root.path().join("segments");
        Self { _root: root, segments }
    }

    /// The directory, made if it is not there.
    pub(crate) fn directory(&self) -> Directory {
        Directory::at(&self.segments).unwrap()
    }

    pub(crate) fn crosstie(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosstie"));
        command.args(words).env("CROSSTIE_DIR", &self.segments).env_remove("CROSSTIE_DIR_GROUP").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.crosstie(words).output().unwrap()
    }

    /// Standard output of a command that succeeds.
    pub(crate) fn text(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it prints on a terminal of so many columns.
    pub(crate) fn shown(&self, columns: u16, words: &[&str]) -> String {
        let (seen, out) = terminal(columns);
        let mut command = self.crosstie(words);
        let child = command.stdout(Stdio::from(out)).stderr(Stdio::piped()).spawn().unwrap();
        drop(command);
        let bytes = read_all(seen);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && !bytes.is_empty(), "{words:?}: {output:?}");
        String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
    }

    /// The JSON lines of a command that succeeds.
    pub(crate) fn json(&self, words: &[&str]) -> Vec<Value> {
        // Behind `--` it would be for the command that is run.
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        let lines: Vec<Value> = self.text(&words).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().all(|line| line["schema"] == 1), "{lines:?}");
        lines
    }

    /// A command that ends with this code and says this on standard error, in JSON too.
    pub(crate) fn told(&self, words: &[&str], code: i32, text: &str) {
        let output = self.run(words);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {stderr}");
        assert!(stderr.starts_with("crosstie: ") && stderr.contains(text), "{words:?}: {stderr}");
        let output = self.run(&[&["--json"], words].concat());
        let line = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        let error: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{words:?}: {line}"));
        assert_eq!((&error["schema"], &error["error"]["exit_code"]), (&1.into(), &code.into()), "{words:?}");
    }
}
