//! What a trial is made of: a structure, those who work on it, and what the oracle is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::board::Seat;

/// Something that processes share and some of them die over.
///
/// Each method is called in a process of its own, which has one thread and ends soon after.
pub trait Structure {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// How often the death of one who [`holds`](Seat::holds) must be told.
    fn told(&self) -> Told {
        Told::Never
    }

    /// Whether it is worth while to step through its work: not if another structure's is the same.
    fn is_stepped(&self) -> bool {
        true
    }

    /// False if what its processes have can outlive them, in a child that was forked or another program, and whoever waits for them is not told until then.
    fn lets_go_in_any_case(&self) -> bool {
        true
    }

    /// How many different parts there are to play, such as the sender and the receiver of a ring. Seat `n` plays part `n % parts()`.
    fn parts(&self) -> usize {
        1
    }

    /// How many work on it at a time. A multiple of the parts.
    fn seats(&self) -> usize {
        4
    }

    /// Makes it, in an empty folder.
    ///
    /// # Errors
    ///
    /// What went wrong, in words.
    fn set_up(&self, place: &Path) -> Result<(), String>;

    /// Joins those who work on it.
    ///
    /// # Errors
    ///
    /// What went wrong, in words.
    fn join(&self, place: &Path, seat: Seat) -> Result<Box<dyn Victim>, String>;

    /// The oracle: looks at what is left when everyone else is gone, reports what is wrong through `seat`, and removes the structure.
    /// Whatever is in the folder afterwards was left behind.
    ///
    /// # Errors
    ///
    /// What went wrong, in words.
    fn check(&self, place: &Path, seat: Seat, tally: &Tally) -> Result<(), String>;
}

/// One who works on a structure until it is killed.
pub trait Victim {
    /// One piece of work: acquire, look whether what was found is whole, change it, give back. Says so on the seat as it goes.
    ///
    /// # Errors
    ///
    /// What went wrong, in words. A wait that ran out is [`Fault::Stuck`](super::Fault::Stuck), reported through the seat.
    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String>;

    /// Starts what the process would start on its first wait: a thread must not begin while instructions are counted.
    ///
    /// # Errors
    ///
    /// What went wrong, in words.
    fn prepare(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// The beginning of a step, as far as it may come upon what a dead one left: what is gone through if it dies of that itself.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    fn succeed(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        self.step(seat, chance)
    }

    /// Looks at what is left after a death at an instruction boundary. One of each part does, in their order; together they leave as much
    /// as the next one needs to do two steps without waiting.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    fn look(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        self.step(seat, chance)
    }
}

/// How often a death is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The structure does not say.
    Never,
    /// Once for each who held, and to nobody otherwise.
    Once,
    /// At most once for each who died.
    AtMostOnce,
}

/// What has happened to a structure before its oracle looks at it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Processes that died.
    pub deaths: u64,
    /// Those of them that surely held something.
    pub deaths_inside: u64,
    /// Others that died in the middle of a step: they may have.
    pub deaths_perhaps_inside: u64,
    /// Deaths told to some of these, who may have died before they gave back: the next one is told of them again.
    pub told_again: u64,
}

/// What is asked of a trial.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where every decision comes from.
    pub seed: u64,
    /// Kills, in all.
    pub count: u64,
    /// How long nothing may move before it is called stuck.
    pub bound: Duration,
    /// The folder in which each trial gets one of its own.
    pub root: PathBuf,
    /// Which boundary to begin with, and to end with, when stepping.
    pub boundaries: (u64, u64),
}
