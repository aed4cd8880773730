//! Kills processes over every shared structure: builds the harness and runs it, first for what needs all processors, then structure by structure.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::failure::{Failure, Result};
use crate::root;

/// What `cargo xtask kill` takes. Anything but `--long` and `--seed` goes to the harness as it is, which then runs once.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fifty times as many kills
    #[arg(long)]
    long: bool,
    /// The seed of every first trial; chosen by the clock if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Further arguments of the harness, `--help` among them, such as `--only mutex --kind steps`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    harness: Vec<String>,
}

/// At random instants, where all processors are busy.
const RANDOM: &[&str] = &["random", "points", "ends", "namespaces"];
/// At instruction boundaries, where one processor is enough for each. The longest first.
const STEPPED: &[&str] = &["recovery", "joining", "steps", "contended"];
/// What is stepped through first, and is to take no longer than [`LOCKS_TAKE`]. The longest first.
const LOCKS: &[&str] = &["tx-region", "mutex", "rwlock", "semaphore"];
/// What stepping through the locks may take on two processors that nobody else uses.
const LOCKS_TAKE: Duration = Duration::from_secs(90);
/// How many step at a time: an even seed stays on one processor, an odd one on the next.
const AT_ONCE: u64 = 2;
/// What a command exits with that could not do what it is for on this machine.
const NOT_RUN: i32 = 77;

/// Builds the harness and runs it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = root::workspace();
    let mut build = Command::new("cargo");
    build.args([
        "build",
        "--locked",
        "--release",
        "--quiet",
        "-p",
        "crosstie-testkit",
        "--features",
        "kill",
        "--bin",
        "kill",
    ]);
    let built =
        build.current_dir(&root).status().map_err(|error| Failure::failed(format!("cannot run cargo: {error}")))?;
    if !built.success() {
        return Err(Failure::failed("the kill harness does not build"));
    }

    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 1_000_000;
    let harness = Harness {
        program: root.join("target/release/kill"),
        seed: args.seed.unwrap_or(clock * 2),
        is_long: args.long,
        words: &args.harness,
    };
    let codes = if args.harness.is_empty() { harness.try_all()? } else { vec![harness.run(harness.seed, &[])?] };
    if let Some(code) = codes.iter().find(|code| ![0, NOT_RUN].contains(code)) {
        return Err(Failure::failed(format!(
            "kill: something was not as it should be (code {code}); the lines above say what, and how to see it again"
        )));
    }
    let not_run = codes.iter().all(|code| *code == NOT_RUN);
    Ok(if not_run { ExitCode::from(77) } else { ExitCode::SUCCESS })
}

/// The harness, as it is run.
struct Harness<'a> {
    program: PathBuf,
    seed: u64,
    is_long: bool,
    words: &'a [String],
}

impl Harness<'_> {
    /// At random instants; then stepping through the locks, whose time is told; then through all else.
    fn try_all(&self) -> Result<Vec<i32>> {
        let kinds = |kinds: &[&'static str]| kinds.iter().flat_map(|kind| ["--kind", kind]).collect::<Vec<_>>();
        let mut codes = vec![self.run(self.seed, &kinds(RANDOM))?];
        let listed = Command::new(&self.program).arg("--list").output();
        let listed = listed.map_err(|error| Failure::failed(format!("no list of structures: {error}")))?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let others: Vec<&str> = listed.lines().filter(|name| !LOCKS.contains(name)).collect();
        let each = |names: &[&str]| -> Vec<Vec<String>> {
            let pairs = STEPPED.iter().flat_map(|kind| names.iter().map(move |name| (*kind, *name)));
            let words = pairs.map(|(kind, name)| ["--no-controls", "--only", name, "--kind", kind]);
            words.map(|words| words.map(str::to_owned).to_vec()).collect()
        };

        let begun = Instant::now();
        let mut jobs = each(LOCKS);
        jobs.push([&["--only-controls"][..], &kinds(STEPPED)].concat().into_iter().map(str::to_owned).collect());
        codes.extend(self.run_each(jobs)?);
        let took = begun.elapsed();
        println!("stepped through locks in {:.1} s of {} s", took.as_secs_f64(), LOCKS_TAKE.as_secs());
        codes.extend(self.run_each(each(&others))?);
        println!("stepped through all else in {:.1} s", (begun.elapsed() - took).as_secs_f64());
        Ok(codes)
    }

    /// Runs each of these, so many at a time.
    fn run_each(&self, jobs: Vec<Vec<String>>) -> Result<Vec<i32>> {
        let jobs = Mutex::new(jobs.into_iter());
        let next = || jobs.lock().expect("no worker panics while it has this").next();
        let work = |worker: u64| {
            let seed = self.seed / 2 * 2 + worker;
            let mut codes = Vec::new();
            while let Some(words) = next() {
                codes.push(self.run(seed, &words.iter().map(String::as_str).collect::<Vec<_>>())?);
            }
            Ok::<_, Failure>(codes)
        };
        let done: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE).map(|worker| scope.spawn(move || work(worker))).collect();
            workers.into_iter().map(|worker| worker.join().expect("a worker returns what went wrong")).collect()
        });
        Ok(done.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }

    /// Runs it once, to its end; its code.
    fn run(&self, seed: u64, words: &[&str]) -> Result<i32> {
        let mut command = Command::new(&self.program);
        command.arg("--seed").arg(seed.to_string()).args(words).args(self.words);
        if self.is_long {
            command.arg("--long");
        }
        let status = command.status();
        let status =
            status.map_err(|error| Failure::failed(format!("cannot run {}: {error}", self.program.display())))?;
        Ok(status.code().unwrap_or(1))
    }
}
