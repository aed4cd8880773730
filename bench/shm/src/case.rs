//! One thing to measure, and how it is measured.

use std::{
    fs::Permissions,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crosstie_sys::processors;
use hdrhistogram::Histogram;

/// What went wrong, in words.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Which of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that measures: it makes what both use.
    Measurer,
    Peer,
}

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// There and back, in nanoseconds.
    RoundTrip,
    /// From one process to the other, in millions a second.
    OneWay,
    /// One process alone, in nanoseconds.
    Alone,
}

/// What the two processes of a case share.
pub(crate) struct Place<'a> {
    pub(crate) side: Side,
    pub(crate) folder: &'a Path,
}

/// Does so many rounds on behalf of one side and says how long they took; called with the same counts on both.
pub(crate) type Rounds = Box<dyn FnMut(u64) -> Result<Duration, Failure>>;
/// Does one act for which the two processes compete.
pub(crate) type Act = Box<dyn FnMut()>;

#[derive(Clone, Copy)]
enum Work {
    Rounds {
        unit: Unit,
        make: fn(&Place<'_>) -> Result<Rounds, Failure>,
        count: u64,
    },
    Contended(fn(&Place<'_>) -> Result<Act, Failure>),
    /// Both processes are another program's; none if it cannot be had here.
    #[cfg_attr(not(feature = "rivals"), allow(dead_code, reason = "only rivals are programs"))]
    Program {
        unit: Unit,
        run: fn(&Path) -> Result<Option<Samples>, Failure>,
    },
}

/// One thing to measure.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    work: Work,
    one_processor: bool,
}

/// What the repetitions of a case came to.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Nanoseconds for each act of one process, or of both together.
    pub(crate) nanos: Vec<f64>,
    /// Nanoseconds that one of a thousand acts took or more, where processes compete.
    pub(crate) slowest: Vec<f64>,
}

/// Repetitions in one pass through all cases.
pub(crate) const REPETITIONS: usize = 3;
/// How long processes compete for.
const WINDOW: Duration = Duration::from_millis(200);

impl Case {
    pub(crate) const fn new(name: &'static str, unit: Unit, make: fn(&Place<'_>) -> Result<Rounds, Failure>) -> Self {
        let count = match unit {
            Unit::RoundTrip => 30_000,
            Unit::OneWay => 500_000,
            Unit::Alone => 500_000,
        };
        Self { name, work: Work::Rounds { unit, make, count }, one_processor: false }
    }

    pub(crate) const fn contended(name: &'static str, make: fn(&Place<'_>) -> Result<Act, Failure>) -> Self {
        Self { name, work: Work::Contended(make), one_processor: false }
    }

    #[cfg(feature = "rivals")]
    pub(crate) const fn program(
        name: &'static str,
        unit: Unit,
        run: fn(&Path) -> Result<Option<Samples>, Failure>,
    ) -> Self {
        Self { name, work: Work::Program { unit, run }, one_processor: false }
    }

    pub(crate) const fn on_one_processor(mut self) -> Self {
        self.one_processor = true;
        self.of(10_000)
    }

    /// So many rounds, where they take longer than most.
    pub(crate) const fn of(mut self, rounds: u64) -> Self {
        if let Work::Rounds { unit, make, .. } = self.work {
            self.work = Work::Rounds { unit, make, count: rounds };
        }
        self
    }

    /// True if more is better.
    pub(crate) const fn is_rate(&self) -> bool {
        matches!(
            self.work,
            Work::Contended(_) | Work::Rounds { unit: Unit::OneWay, .. } | Work::Program { unit: Unit::OneWay, .. }
        )
    }

    /// Both processes, and what they found.
    pub(crate) fn measure(&self) -> Result<Samples, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("crosstie-bench-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(shared_memory())?;
        self.run(Side::Measurer, folder.path())
    }

    /// One process's part.
    pub(crate) fn run(&self, side: Side, folder: &Path) -> Result<Samples, Failure> {
        processors::pin(usize::from(side == Side::Peer && !self.one_processor))?;
        let place = Place { side, folder };
        let start_peer = || Peer::start(self.name, folder.to_owned());
        match self.work {
            Work::Rounds { unit, make, count } => {
                let mut rounds = make(&place)?;
                // What the measurer makes, the peer finds.
                let has_peer = side == Side::Measurer && unit != Unit::Alone;
                let peer = if has_peer { Some(start_peer()?) } else { None };
                let mut samples = Samples::default();
                for repetition in 0..=REPETITIONS {
                    let took = rounds(count)?;
                    // The first is for warming up.
                    if repetition > 0 {
                        samples.nanos.push(took.as_secs_f64() * 1e9 / count as f64);
                    }
                }
                drop(rounds);
                peer.map_or(Ok(()), Peer::end)?;
                Ok(samples)
            }
            Work::Program { run, .. } => Ok(run(folder)?.unwrap_or_default()),
            Work::Contended(make) => {
                let mut act = make(&place)?;
                if side == Side::Peer { compete_as_peer(&mut act) } else { compete(&mut act, start_peer()?) }
            }
        }
    }
}

/// Where files are memory.
fn shared_memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// The measurer's part of a competition, and what both found.
fn compete(act: &mut Act, mut peer: Peer) -> Result<Samples, Failure> {
    let mut samples = Samples::default();
    peer.line()?;
    for repetition in 0..=REPETITIONS {
        peer.say()?;
        let ours = window(act);
        let theirs = peer.line()?;
        let mut theirs = theirs.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(acts)), Some(Ok(slowest))) = (theirs.next(), theirs.next()) else {
            return Err("the other process did not say what it found".into());
        };
        if repetition > 0 {
            samples.nanos.push(WINDOW.as_nanos() as f64 / (ours.len() + acts) as f64);
            samples.slowest.push(ours.value_at_quantile(0.999).max(slowest) as f64);
        }
    }
    peer.end()?;
    Ok(samples)
}

/// The peer's part: each line that comes starts a window, and what it found goes back.
fn compete_as_peer(act: &mut Act) -> Result<Samples, Failure> {
    println!("ready");
    for line in std::io::stdin().lines() {
        line?;
        let ours = window(act);
        println!("{} {}", ours.len(), ours.value_at_quantile(0.999));
    }
    Ok(Samples::default())
}

/// Acts as often as it can, and how long each took.
fn window(act: &mut Act) -> Histogram<u64> {
    let mut times = Histogram::new_with_bounds(1, 1 << 40, 3).expect("the bounds are in order");
    let begun = Instant::now();
    let mut last = begun;
    while last.duration_since(begun) < WINDOW {
        act();
        let now = Instant::now();
        times.saturating_record(u64::try_from(now.duration_since(last).as_nanos()).unwrap_or(u64::MAX));
        last = now;
    }
    times
}

struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(name: &str, folder: PathBuf) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["peer", name])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("the other process has no output")?);
        Ok(Self { child, input, output })
    }

    fn say(&mut self) -> Result<(), Failure> {
        let input = self.input.as_mut().ok_or("the other process has no input")?;
        Ok(input.write_all(b"\n").and_then(|()| input.flush())?)
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line)
    }

    /// Lets it go, and waits until it has gone.
    fn end(mut self) -> Result<(), Failure> {
        drop(self.input.take());
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the other process ended with {status}").into()) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended by itself, unless the measurer failed; then it may have something to say about why.
        let limit = Instant::now() + Duration::from_secs(1);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `round` so often.
pub(crate) fn timed(count: u64, mut round: impl FnMut(u64) -> Result<(), Failure>) -> Result<Duration, Failure> {
    let start = Instant::now();
    for number in 0..count {
        round(number)?;
    }
    Ok(start.elapsed())
}
