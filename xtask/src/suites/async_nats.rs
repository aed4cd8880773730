//! async-nats's own tests, built from its package under `target/suites` and run against the server under test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::expect::{self, Ending, Endings};
use super::namespace::Namespace;
use super::run::{self, Choice, Runner};
use super::trial::{Trial, cargo, own_files, suites_folder};
use crate::failure::{Failure, Result};
use crate::tools::{self, Tool};

/// The files of tests that a core broker must pass.
const FILES: [&str; 4] = ["client_tests", "service_tests", "subject_validation_test", "tls_tests"];

/// Helper crates that the package's tests name and that it does not ship, or that only a left-out test needs.
const OWN_CRATES: [&str; 3] = ["nats-server", "jsonschema", "reqwest"];

/// How many tests run at once: most of them sleep.
const THREADS: &str = "4";

/// A run that takes longer has hung.
const WATCHDOG_SECONDS: &str = "240";

pub(super) fn run(trial: &Trial) -> Result<()> {
    let folder = unpack()?;
    let programs = build(&folder)?;
    let expected = expect::read(&own_files("async-nats.expect"))?;
    let mut runner = Cargo { trial, folder, programs, namespace: Namespace::find() };
    run::judge(&expected, trial.all, &mut runner)
}

/// Lays the package out with a manifest of our own making.
fn unpack() -> Result<PathBuf> {
    let package = tools::install(Tool::AsyncNats)?;
    let folder = suites_folder().join(Tool::AsyncNats.name());
    if !folder.is_dir() {
        tools::make_folder(&suites_folder())?;
        tools::run_quietly(Command::new("cp").arg("-r").arg(package).arg(&folder))?;
    }
    for name in OWN_CRATES {
        let source = own_files("async-nats").join(format!("{}.rs.in", name.replace('-', "_")));
        let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2021\"\n\n[lib]\npath = \"lib.rs\"\n");
        let own = folder.join("own").join(name);
        tools::make_folder(&own)?;
        write_if_changed(&own.join("Cargo.toml"), &manifest)?;
        let text = fs::read_to_string(&source).map_err(Failure::failed)?;
        write_if_changed(&own.join("lib.rs"), &text)?;
    }
    let original = fs::read_to_string(folder.join("Cargo.toml.orig")).map_err(Failure::failed)?;
    write_if_changed(&folder.join("Cargo.toml"), &manifest(&original)?)?;
    Ok(folder)
}

/// The package's original manifest, less what the files we run do not use: it would cost minutes to build.
fn manifest(original: &str) -> Result<String> {
    let mut manifest: toml::Table = original.parse().map_err(Failure::failed)?;
    manifest.remove("bench");
    manifest.insert("workspace".into(), toml::Table::new().into());
    let wanted = |name: &str| !matches!(name, "criterion" | "num" | "ring" | "tracing-subscriber" | "chrono");
    let Some(toml::Value::Table(needed)) = manifest.get_mut("dev-dependencies") else {
        return Err(Failure::failed("async-nats's manifest names no dev-dependencies"));
    };
    needed.retain(|name, _| wanted(name));
    for name in OWN_CRATES {
        let mut path = toml::Table::new();
        path.insert("path".into(), format!("own/{name}").into());
        needed.insert(name.into(), path.into());
    }
    if let Some(toml::Value::Table(package)) = manifest.get_mut("package") {
        package.insert("autobenches".into(), false.into());
        package.insert("autoexamples".into(), false.into());
        package.remove("readme");
    }
    toml::to_string(&manifest).map_err(Failure::failed)
}

/// Leaves a file that is already right alone, so that cargo does not build again.
fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(Failure::failed)
}

/// Builds the tests and tells where each file's program lies.
fn build(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = cargo();
    command.args(["test", "--no-run", "--message-format=json", "--no-default-features"]);
    command.args(["--features", "server_2_10,service,nkeys,ring"]);
    for file in FILES {
        command.args(["--test", file]);
    }
    command.current_dir(folder).env("CARGO_TARGET_DIR", suites_folder().join("target"));
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    // Cargo sets these for us; passed on, they would name our package to theirs.
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("RUSTFLAGS");
    let output = command.stderr(Stdio::inherit()).output().map_err(Failure::failed)?;
    if !output.status.success() {
        return Err(Failure::failed("async-nats's tests do not build"));
    }
    let told = String::from_utf8_lossy(&output.stdout);
    Ok(told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let program = message["executable"].as_str()?;
            let name = message["target"]["name"].as_str()?;
            Some((name.to_owned(), PathBuf::from(program)))
        })
        .collect())
}

struct Cargo<'a> {
    trial: &'a Trial,
    folder: PathBuf,
    programs: BTreeMap<String, PathBuf>,
    namespace: Option<Namespace>,
}

impl Runner for Cargo<'_> {
    fn run(&mut self, file: &str, choice: Choice<'_>) -> Result<Endings> {
        let program = self.programs.get(file).ok_or_else(|| Failure::failed(format!("async-nats holds no {file}")))?;
        // Without a namespace of their own the tests share ours: all but one take any free port.
        let mut command = match self.namespace {
            Some(namespace) => namespace.command("timeout"),
            None => Command::new("timeout"),
        };
        command.arg(WATCHDOG_SECONDS).arg(program).arg("--exact");
        match choice {
            Choice::AllBut(left_out) => {
                command.args(["--test-threads", THREADS]);
                command.args(left_out.iter().flat_map(|name| ["--skip", name]));
            }
            Choice::Only(names) => {
                command.args(["--test-threads", "1"]).args(names);
            }
        }
        command.current_dir(&self.folder).env("PATH", self.trial.search_path());
        let output = command.stdin(Stdio::null()).output().map_err(Failure::failed)?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = suites_folder().join(format!("{file}.log"));
        fs::write(&log, [told.as_bytes(), &output.stderr].concat()).map_err(Failure::failed)?;
        if output.status.code() == Some(124) {
            return Err(Failure::failed(format!("{file} did not end in {WATCHDOG_SECONDS} s; see {}", log.display())));
        }
        Ok(endings(&told))
    }
}

/// Reads lines such as `test tests::ping ... ok`.
fn endings(told: &str) -> Endings {
    told.lines()
        .filter_map(|line| {
            let (name, ending) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
            let ending = match ending.split([' ', ',']).next()? {
                "ok" => Ending::Passed,
                "FAILED" => Ending::Failed,
                "ignored" => Ending::Ignored,
                _ => return None,
            };
            Some((name.trim_end_matches(" - should panic").to_owned(), ending))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_read_from_the_harness() {
        let told = "running 3 tests\ntest tests::a ... ok\ntest tests::b ... FAILED\ntest c ... ignored, slow\n\ntest result: ok. 1 passed";
        let endings = endings(told);
        assert_eq!(endings.len(), 3);
        assert_eq!(endings["tests::a"], Ending::Passed);
        assert_eq!(endings["tests::b"], Ending::Failed);
        assert_eq!(endings["c"], Ending::Ignored);
    }
}
