//! What a run of trials has shown.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::board::{Board, Fault};

/// The outcome of one kind of trials with one structure.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Which kind of trials.
    pub kind: &'static str,
    /// With what.
    pub structure: &'static str,
    /// Where the decisions came from.
    pub seed: u64,
    /// Processes that met their end, in whatever way.
    pub kills: u64,
    /// Those of them that surely held something.
    pub inside: u64,
    /// Those of them that may have: they died in the middle of a step.
    pub perhaps: u64,
    /// How often which end was met, at random instants; a process that was stopped went on.
    pub ends: BTreeMap<&'static str, u64>,
    /// How often a death was told.
    pub told: u64,
    /// Instruction boundaries at which a process was killed; and deeds before which one was that was recovering.
    pub boundaries: (u64, u64),
    /// Boundaries that were behind a change of what others can see.
    pub changes: u64,
    /// Changes and deeds that no process came to any more.
    pub missed: u64,
    /// Instructions of the work that was stepped through.
    pub work: u64,
    /// First deaths whose recoveries were gone through.
    pub recovered: u64,
    /// Whether there were more boundaries than kills to spend.
    pub is_cut_short: bool,
    /// From the death of a holder to the telling of it, in nanoseconds.
    pub recoveries: Vec<u64>,
    /// How often the processes met their end at which crash point.
    pub points: BTreeMap<String, u64>,
    /// What was found wrong, and how often.
    pub faults: BTreeMap<Fault, u64>,
    /// The first of them in words.
    pub text: String,
    /// The seed of the trial that found it.
    pub failing_seed: Option<u64>,
    /// How long it took.
    pub elapsed: Duration,
    /// Why nothing was tried.
    pub not_run: Option<String>,
}

impl Report {
    pub(super) fn of(kind: &'static str, structure: &'static str, seed: u64) -> Self {
        Self { kind, structure, seed, ..Self::default() }
    }

    /// One that says why nothing was tried.
    pub(super) fn not_run(mut self, why: impl fmt::Display) -> Self {
        self.not_run = Some(why.to_string());
        self
    }

    /// Takes over what was found on the board in the trial of this seed; says whether anything was.
    pub(super) fn note(&mut self, board: &Board, seed: u64) -> bool {
        for fault in Fault::ALL {
            let found = board.faults(fault);
            if found > 0 {
                *self.faults.entry(fault).or_default() += found;
            }
        }
        if board.has_faults() && self.failing_seed.is_none() {
            self.failing_seed = Some(seed);
            self.text = board.text();
        }
        board.has_faults()
    }

    /// Whether nothing was found wrong. What was not run has shown nothing, so it is not whole either.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty() && self.not_run.is_none()
    }

    /// The recovery at this place among all, 0 being the fastest and 1 the slowest.
    pub fn recovery(&self, quantile: f64) -> Option<Duration> {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        let at = (last as f64 * quantile.clamp(0.0, 1.0)).ceil() as usize;
        sorted.get(at).map(|nanos| Duration::from_nanos(*nanos))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<10} {:<16} ", self.kind, self.structure)?;
        if let Some(why) = &self.not_run {
            return write!(f, "NOT RUN: {why}");
        }
        write!(f, "{} kills", self.kills)?;
        if self.boundaries.0 > 0 {
            write!(f, " at {} boundaries", self.boundaries.0)?;
        }
        if self.boundaries.1 > 0 {
            write!(f, ", {} in recoveries from {} first deaths", self.boundaries.1, self.recovered)?;
        }
        if self.changes > 0 {
            write!(f, ", {} changes", self.changes)?;
        }
        if self.missed > 0 {
            write!(f, " and {} missed", self.missed)?;
        }
        write!(f, ", {} inside, {} told, {:.1} s", self.inside, self.told, self.elapsed.as_secs_f64())?;
        if let (Some(half), Some(most), Some(all)) = (self.recovery(0.5), self.recovery(0.99), self.recovery(1.0)) {
            write!(f, ", recovery p50 {half:.1?} p99 {most:.1?} max {all:.1?}")?;
        }
        if self.ends.len() > 1 {
            let ends: Vec<_> = self.ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
            write!(f, " ({})", ends.join(", "))?;
        }
        if self.is_cut_short {
            write!(f, ", NOT ALL BOUNDARIES")?;
        }
        for (fault, count) in &self.faults {
            write!(f, ", {} {}", count, fault.name())?;
        }
        if let Some(seed) = self.failing_seed {
            write!(f, "\n    seed {seed}: {}", self.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_recovery_is_the_last_quantile() {
        let report = Report { recoveries: vec![3, 1, 2, 9], ..Report::default() };
        let at = |quantile| report.recovery(quantile).unwrap().as_nanos();
        assert_eq!((at(0.0), at(0.5), at(0.99), at(1.0)), (1, 3, 9, 9));
    }

    #[test]
    fn what_was_not_run_is_not_whole() {
        assert!(Report::default().is_whole());
        assert!(!Report::default().not_run("no permission").is_whole());
    }

    #[test]
    fn the_first_fault_names_the_seed() {
        let board = Board::new(1).unwrap();
        let mut report = Report::default();
        assert!(!report.note(&board, 6));
        board.seat(0).fault(Fault::Lost, "it");
        assert!(report.note(&board, 7));
        assert!(report.note(&board, 8));
        assert_eq!((report.failing_seed, report.text.as_str(), report.faults[&Fault::Lost]), (Some(7), "lost: it", 2));
    }
}
