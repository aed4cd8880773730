//! What was measured, in one table, and what we want of it: the middle of all repetitions, their range, and ratios within one pass.

use std::fmt;

use crate::case::{Case, Failure, Samples};

/// All cases, and what each pass found.
pub(crate) struct Table(Vec<(Case, Vec<Samples>)>);

/// What we want.
pub(crate) struct Target {
    what: &'static str,
    measure: Measure,
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Measure {
    /// Nanoseconds of the first over those of the second.
    Time(&'static str, &'static str),
    /// The rate of the first over that of the second.
    Rate(&'static str, &'static str),
    /// The slowest of a thousand acts of the first over those of the second.
    Slowest(&'static str, &'static str),
    Nanos(&'static str),
    MillionsASecond(&'static str),
}

#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// What the project wants of its shared memory.
pub(crate) const TARGETS: &[Target] = &[
    time("round trip, 48 bytes, in one-line floors", "ring-48", "floor-1-line", 2.0),
    time("round trip, 56 bytes, in one-line floors", "ring-56", "floor-1-line", 2.0),
    time("round trip, 64 bytes, in two-line floors", "ring-64", "floor-2-lines", 2.2),
    time("round trip, 64 bytes, to iceoryx2", "ring-64", "iceoryx2-64", 1.0),
    Target {
        what: "one way, 64 bytes, one at a time, M/s",
        measure: Measure::MillionsASecond("ring-64-one-way"),
        limit: Limit::AtLeast(25.0),
    },
    rate("one way, 64 bytes, to shmem-ipc", "ring-64-one-way", "shmem-ipc-64-one-way"),
    rate("one way, 64 bytes, to iceoryx2", "ring-64-one-way", "iceoryx2-64-one-way"),
    time("loan of 1 MiB to one of 64 bytes, 8 touched", "loan-1MiB", "loan-64", 1.2),
    time("parked round trip, one core, in futex floors", "ring-56-parked-1-core", "futex-1-core", 1.1),
    time("the same, in futexes with a time limit", "ring-56-parked-1-core", "futex-timed-1-core", 1.1),
    time("lock and unlock to std's", "mutex", "std-mutex", 1.15),
    Target {
        what: "lock, 64 bytes changed, commit, ns",
        measure: Measure::Nanos("mutex-64-commit"),
        limit: Limit::AtMost(30.0),
    },
    rate("two processes at one lock, to pthread robust", "mutex-contended", "pthread-robust-contended"),
    Target {
        what: "the same, slowest of 1000, to pthread robust",
        measure: Measure::Slowest("mutex-contended", "pthread-robust-contended"),
        limit: Limit::AtMost(1.0),
    },
    time("region, 64 bytes committed, to LMDB's", "region-64-commit", "lmdb-64-commit", 1.0),
];

const fn time(what: &'static str, ours: &'static str, theirs: &'static str, limit: f64) -> Target {
    Target { what, measure: Measure::Time(ours, theirs), limit: Limit::AtMost(limit) }
}

const fn rate(what: &'static str, ours: &'static str, theirs: &'static str) -> Target {
    Target { what, measure: Measure::Rate(ours, theirs), limit: Limit::AtLeast(1.0) }
}

impl Table {
    pub(crate) fn of(cases: impl Iterator<Item = Case>) -> Self {
        Self(cases.map(|case| (case, Vec::new())).collect())
    }

    /// Measures all once more, one after the other.
    pub(crate) fn pass(&mut self) -> Result<(), Failure> {
        for (case, passes) in &mut self.0 {
            passes.push(case.measure().map_err(|error| format!("{}: {error}", case.name))?);
        }
        Ok(())
    }

    fn passes(&self, name: &str) -> Option<&[Samples]> {
        Some(&self.0.iter().find(|(case, _)| case.name == name)?.1)
    }

    /// The middle of the ratios within each pass: the machine may be another one by the next.
    fn ratio(&self, one: &str, other: &str, pick: impl Fn(&Samples) -> &[f64]) -> Option<f64> {
        let pairs = self.passes(one)?.iter().zip(self.passes(other)?);
        let ratios: Vec<_> = pairs.map(|(one, other)| middle(pick(one)) / middle(pick(other))).collect();
        Some(middle(&ratios))
    }

    fn nanos(&self, name: &str) -> Option<f64> {
        let all: Vec<_> = self.passes(name)?.iter().flat_map(|pass| &pass.nanos).copied().collect();
        Some(middle(&all))
    }

    fn measured(&self, target: &Target) -> Option<f64> {
        match target.measure {
            Measure::Time(ours, theirs) => self.ratio(ours, theirs, |pass| &pass.nanos),
            Measure::Rate(ours, theirs) => self.ratio(theirs, ours, |pass| &pass.nanos),
            Measure::Slowest(ours, theirs) => self.ratio(ours, theirs, |pass| &pass.slowest),
            Measure::Nanos(name) => self.nanos(name),
            Measure::MillionsASecond(name) => Some(1e3 / self.nanos(name)?),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, passes) in &self.0 {
            let all = |pick: fn(&Samples) -> &Vec<f64>| -> Vec<f64> { passes.iter().flat_map(pick).copied().collect() };
            let (nanos, slowest) = (all(|pass| &pass.nanos), all(|pass| &pass.slowest));
            if nanos.is_empty() {
                continue;
            }
            let (least, most) =
                nanos.iter().fold((f64::MAX, 0.0_f64), |(least, most), x| (least.min(*x), most.max(*x)));
            if case.is_rate() {
                let [middle, least, most] = [middle(&nanos), most, least].map(|nanos| 1e3 / nanos);
                write!(f, "{:28} {middle:10.2} M/s [{least:.2} to {most:.2}]", case.name)?;
            } else {
                write!(f, "{:28} {:10.1} ns  [{least:.1} to {most:.1}]", case.name, middle(&nanos))?;
            }
            if !slowest.is_empty() {
                write!(f, ", one of 1000 takes {:.2} us", middle(&slowest) / 1e3)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "\n{:48} {:>10} {:>10}", "what we want", "target", "measured")?;
        for target in TARGETS {
            let Some(measured) = self.measured(target) else { continue };
            let (sign, limit, is_met) = match target.limit {
                Limit::AtMost(limit) => ("<=", limit, measured <= limit),
                Limit::AtLeast(limit) => (">=", limit, measured >= limit),
            };
            let verdict = if is_met { "met" } else { "MISSED" };
            writeln!(f, "{:48} {:>10} {measured:10.2}  {verdict}", target.what, format!("{sign} {limit}"))?;
        }
        Ok(())
    }
}

fn middle(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
