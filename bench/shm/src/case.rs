//! One thing to measure, and how it is measured.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use crosstie_sys::processors;

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
    RoundTrip,
    OneWay,
}

/// What the two processes of a case share.
pub(crate) struct Place<'a> {
    pub(crate) side: Side,
    pub(crate) folder: &'a Path,
}

/// Does so many rounds on behalf of one side and says how long they took; called with the same counts on both.
pub(crate) type Rounds = Box<dyn FnMut(u64) -> Result<Duration, Failure>>;

type Make = fn(&Place<'_>) -> Result<Rounds, Failure>;

/// One thing to measure.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    unit: Unit,
    make: Make,
    one_processor: bool,
}

/// What was found: nanoseconds per round, from the fastest repetition to the slowest.
pub(crate) struct Figure {
    name: &'static str,
    unit: Unit,
    nanos: Vec<f64>,
}

const REPETITIONS: usize = 15;

impl Case {
    pub(crate) const fn new(name: &'static str, unit: Unit, make: Make) -> Self {
        Self { name, unit, make, one_processor: false }
    }

    pub(crate) const fn on_one_processor(mut self) -> Self {
        self.one_processor = true;
        self
    }

    const fn rounds(&self) -> u64 {
        match self.unit {
            _ if self.one_processor => 10_000,
            Unit::RoundTrip => 50_000,
            Unit::OneWay => 1_000_000,
        }
    }

    /// Both processes, and the figure.
    pub(crate) fn measure(&self) -> Result<Figure, Failure> {
        let folder = std::env::temp_dir().join(format!("crosstie-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        std::os::unix::fs::chown(&folder, None, None)?;
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
        let nanos = self.run(Side::Measurer, &folder);
        std::fs::remove_dir_all(&folder)?;
        Ok(Figure { name: self.name, unit: self.unit, nanos: nanos? })
    }

    /// One process's part.
    pub(crate) fn run(&self, side: Side, folder: &Path) -> Result<Vec<f64>, Failure> {
        processors::pin(usize::from(side == Side::Peer && !self.one_processor))?;
        let mut rounds = (self.make)(&Place { side, folder })?;
        // What the measurer makes, the peer finds.
        let peer = if side == Side::Measurer { Some(Peer::start(self.name, folder.to_owned())?) } else { None };
        let mut nanos = Vec::new();
        for repetition in 0..=REPETITIONS {
            let count = self.rounds();
            let took = rounds(count)?;
            // The first is for warming up.
            if repetition > 0 {
                nanos.push(took.as_secs_f64() * 1e9 / count as f64);
            }
        }
        drop(rounds);
        if let Some(mut peer) = peer {
            peer.0.wait()?;
        }
        nanos.sort_by(f64::total_cmp);
        Ok(nanos)
    }
}

struct Peer(Child);

impl Peer {
    fn start(name: &str, folder: PathBuf) -> Result<Self, Failure> {
        Ok(Self(Command::new(std::env::current_exe()?).args(["peer", name]).arg(folder).spawn()?))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended by itself, unless the measurer failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
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

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, middle, last] = [0, self.nanos.len() / 2, self.nanos.len() - 1].map(|at| self.nanos[at]);
        match self.unit {
            Unit::RoundTrip => write!(f, "{:26} {middle:9.0} ns  [{first:.0} to {last:.0}]", self.name),
            Unit::OneWay => {
                let rate = |nanos: f64| 1e3 / nanos;
                write!(f, "{:26} {:9.1} M/s [{:.1} to {:.1}]", self.name, rate(middle), rate(last), rate(first))
            }
        }
    }
}
