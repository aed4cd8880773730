//! Fuzzing guided by coverage, on the stable toolchain.
//!
//! libFuzzer needs three things of a target: counters in the code under test, a table of where they are, and a main function. LLVM
//! writes the first two when its coverage pass is asked for by name, which stable rustc lets one do; `libfuzzer-sys` brings the third
//! and needs a C++ compiler for it. Memory errors are no concern: the code under test is safe Rust. Overflow checks and debug
//! assertions are on.
//!
//! A target is a binary of the `fuzz` package. Its corpus grows in `target/fuzz/corpus/`, what broke it is kept in
//! `target/fuzz/artifacts/`, and it starts from the files in `fuzz/seeds/`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use toml::{Table, Value};

use crate::failure::{Failure, Result};
use crate::root;

/// What `cargo xtask fuzz` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u64,
    /// The targets to run; all if none is named
    targets: Vec<String>,
}

/// What asks LLVM for the counters, the comparisons and the table of places; `cfg(fuzzing)` is what Rust code may ask for.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// The longest input in bytes, and the most memory in MiB that one may cost.
const MAX_LEN: u32 = 1024;
const MEMORY_MB: u32 = 1024;
/// The longest that one input may take, in seconds.
const INPUT_TIMEOUT: u32 = 10;
/// How many lines of a broken target's output are shown.
const SHOWN_LINES: usize = 40;

/// Builds and runs the targets, as many at once as there are processors.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = root::workspace();
    let known = targets(&root)?;
    if let Some(unknown) = args.targets.iter().find(|name| !known.contains(name)) {
        return Err(Failure::failed(format!("no fuzz target is called `{unknown}`; there are: {}", known.join(", "))));
    }
    let chosen = if args.targets.is_empty() { &known } else { &args.targets };
    let binaries = build(&root)?;

    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let mut broken = 0;
    for group in chosen.chunks(at_once) {
        let running: Vec<_> = group.iter().map(|name| start(&root, &binaries, name, args.seconds)).collect();
        for (name, child) in group.iter().zip(running) {
            let outcome = finish(name, child?)?;
            if let Err(why) = outcome {
                eprintln!("{name}: {why}");
                broken += 1;
            }
        }
    }
    if broken == 0 {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::failed(format!("fuzz: {broken} of {} targets broke", chosen.len())))
    }
}

/// The names of the binaries that `fuzz/Cargo.toml` lists.
fn targets(root: &Path) -> Result<Vec<String>> {
    let path = root.join("fuzz/Cargo.toml");
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
    let manifest: Table = text.parse().map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    let binaries = manifest.get("bin").and_then(Value::as_array).into_iter().flatten();
    Ok(binaries.filter_map(|binary| binary.get("name")?.as_str()).map(str::to_owned).collect())
}

/// Builds every target; gives the folder that they are in.
fn build(root: &Path) -> Result<PathBuf> {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let answers = Command::new(&compiler).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !answers.is_ok_and(|status| status.success()) {
        return Err(Failure::not_run(format!(
            "no C++ compiler for libFuzzer: `{}` does not start",
            compiler.to_string_lossy()
        )));
    }
    let host = host()?;
    let place = root.join("target/fuzz");
    // Naming the platform keeps the flags away from build scripts and macros, which run unfuzzed.
    let status = cargo()
        .args(["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target", &host])
        .arg("--target-dir")
        .arg(&place)
        .env("RUSTFLAGS", COVERAGE)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root)
        .status()
        .map_err(|error| Failure::failed(format!("cannot start cargo: {error}")))?;
    if !status.success() {
        return Err(Failure::failed(format!("building the fuzz targets ended with {status}")));
    }
    Ok(place.join(host).join("release"))
}

/// The platform of this machine, as rustc calls it.
fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .map_err(|error| Failure::failed(format!("cannot start rustc: {error}")))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::failed("rustc -vV names no host"))
}

fn start(root: &Path, binaries: &Path, name: &str, seconds: u64) -> Result<Child> {
    let corpus = root.join("target/fuzz/corpus").join(name);
    let artifacts = root.join("target/fuzz/artifacts").join(name);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::failed(format!("cannot create {}: {error}", folder.display())))?;
    }
    let mut command = Command::new(binaries.join(name));
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args([
        format!("-max_len={MAX_LEN}"),
        format!("-rss_limit_mb={MEMORY_MB}"),
        format!("-timeout={INPUT_TIMEOUT}"),
    ]);
    command.arg(corpus);
    command.arg(root.join("fuzz/seeds").join(name));
    let dictionary = root.join("fuzz/dictionaries").join(format!("{name}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::failed(format!("cannot start fuzz target `{name}`: {error}")))
}

/// Waits for a target; says how its coverage grew, or why it broke.
fn finish(name: &str, child: Child) -> Result<std::result::Result<(), String>> {
    let output =
        child.wait_with_output().map_err(|error| Failure::failed(format!("cannot wait for `{name}`: {error}")))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let lines: Vec<_> = told.lines().filter(|line| !line.starts_with('#')).collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            eprintln!("  | {line}");
        }
        return Ok(Err(format!("ended with {}", output.status)));
    }
    let Some(growth) = Growth::read(&told) else {
        return Ok(Err("no coverage was counted; the flags of the build do not work on this toolchain".to_owned()));
    };
    println!("{name}: {} runs, {} places covered, {} at the start", growth.runs, growth.last, growth.first);
    Ok(Ok(()))
}

/// How coverage went, as libFuzzer's status lines (`#12 NEW cov: 34 …`) tell.
#[derive(Debug, PartialEq, Eq)]
struct Growth {
    first: u64,
    last: u64,
    runs: u64,
}

impl Growth {
    fn read(told: &str) -> Option<Self> {
        let covered: Vec<(u64, u64)> = told.lines().filter_map(status).collect();
        let (first, last) = (covered.first()?, covered.last()?);
        (last.1 > 0).then_some(Self { first: first.1, last: last.1, runs: last.0 })
    }
}

/// Runs and covered places of a status line.
fn status(line: &str) -> Option<(u64, u64)> {
    let runs = line.strip_prefix('#')?.split_whitespace().next()?.parse().ok()?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "cov:").skip(1);
    Some((runs, words.next()?.parse().ok()?))
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_read_from_the_status_lines() {
        let told = "INFO: Seed: 1\n#2\tINITED cov: 12 ft: 13 corp: 1/1b\n#90\tNEW    cov: 40 ft: 50\n#512\tDONE   cov: 44 ft: 60\nDone 512 runs";
        assert_eq!(Growth::read(told), Some(Growth { first: 12, last: 44, runs: 512 }));
    }

    #[test]
    fn a_build_without_counters_is_noticed() {
        assert_eq!(Growth::read("#2\tINITED exec/s: 0 rss: 30Mb\n#512\tDONE cov: 0 ft: 1"), None);
        assert_eq!(Growth::read("#2\tINITED exec/s: 0 rss: 30Mb"), None);
    }

    #[test]
    fn the_targets_are_those_of_the_package() {
        let targets = targets(&root::workspace()).expect("the fuzz package lists its targets");
        assert!(targets.contains(&"nats_client_ops".to_owned()));
    }
}
