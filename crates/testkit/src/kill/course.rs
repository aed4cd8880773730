//! The course that a piece of work takes, cut at its crash points, and the instruction boundaries of it at which to kill.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crosstie_sys::Planned;
use crosstie_sys::trial::{Place, Road, Way};

/// What a process did from the beginning of its counting to its end.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// The number of the first section.
    first: u64,
    /// From one crash point to the next.
    sections: Vec<Vec<Place>>,
}

/// A boundary of a course: behind so many instructions of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Boundary {
    pub(super) part: usize,
    pub(super) section: u64,
    pub(super) place: u64,
    /// Changes up to there, from the beginning of the section, if the last instruction was one.
    change: Option<u64>,
    /// How to come there fast, if that is to be tried.
    way: Option<Way>,
}

/// Which boundaries of a course are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Each; of sections that are longer than [`LONGEST`], those that [`Which::Changes`] has.
    Each,
    /// The first, and each behind a change of what others can see: in between a death leaves the same to them. And a few in between, to see that.
    Changes,
}

/// Longer than this program, and closer than any library.
const PROGRAM: u64 = 32 << 20;
/// Sections that are longer are not gone through boundary by boundary.
const LONGEST: usize = 1_500;
/// Of so many boundaries between two changes one is tried.
const SAMPLED: u64 = 2_000;

impl Course {
    /// What was recorded from this section on; an error if there was no room for all of it.
    pub(super) fn of(road: Road, first: u64) -> Result<Self, String> {
        if !road.is_whole() {
            return Err(format!(
                "a piece of work of {} instructions is longer than there is room to record",
                road.made()
            ));
        }
        let mut sections = vec![Vec::new()];
        for place in road.places() {
            if place.is_first {
                sections.push(Vec::new());
            }
            sections.last_mut().expect("there is a first section").push(place);
        }
        Ok(Self { first, sections })
    }

    /// The same up to where it met its first crash point.
    pub(super) fn up_to_first_point(mut self) -> Self {
        self.sections.truncate(1);
        self
    }

    /// How long it is.
    pub(super) fn instructions(&self) -> u64 {
        self.sections.iter().map(|section| section.len() as u64).sum()
    }

    /// What tells courses apart: which instructions of this program were made at all, and how many crash points were met. Not how often each was made, for
    /// that differs with the digits of a number, and not in which order, for that differs with who gets the processor.
    pub(super) fn signature(&self) -> u64 {
        let here = (Self::signature as fn(&Self) -> u64 as usize) as u64;
        let places = self.sections.iter().flatten().map(|place| place.next);
        let made: BTreeSet<u64> = places.filter(|next| next.abs_diff(here) < PROGRAM).collect();
        let mut hasher = DefaultHasher::new();
        (made, self.sections.len()).hash(&mut hasher);
        hasher.finish()
    }

    /// The boundaries to try.
    pub(super) fn boundaries(&self, part: usize, which: Which, chance: &mut fastrand::Rng) -> Vec<Boundary> {
        let mut all = Vec::new();
        for (number, section) in (self.first..).zip(&self.sections) {
            let is_each = which == Which::Each && section.len() <= LONGEST;
            let ways = Way::all(section);
            let mut changes = 0;
            for ((at, place), way) in (0..).zip(section).zip(ways) {
                changes += u64::from(place.is_changed);
                let is_first = number == 0 && at == 0;
                if is_each || is_first || place.is_changed || chance.u64(..SAMPLED) == 0 {
                    let change = place.is_changed.then_some(changes);
                    all.push(Boundary { part, section: number, place: at, change, way: Some(way) });
                }
            }
        }
        all
    }
}

impl Boundary {
    const PER_SECTION: u64 = 1_000_000;
    const PER_PART: u64 = 10_000 * Self::PER_SECTION;

    /// What the process is to do when the section begins.
    pub(super) fn planned(self) -> Planned {
        match (self.way, self.change) {
            (Some(way), _) => Planned::DieBehind(way),
            (None, Some(change)) => Planned::DieAtChange(change),
            (None, None) => Planned::DieAfter(self.place),
        }
    }

    /// Whether it is behind a change of what others can see.
    pub(super) const fn is_change(self) -> bool {
        self.change.is_some()
    }

    pub(super) const fn has_way(self) -> bool {
        self.way.is_some()
    }

    /// The same, gone to instruction by instruction: for who does not come by the way that the first one came.
    pub(super) const fn on_foot(self) -> Self {
        Self { way: None, ..self }
    }

    /// What it is called on the command line.
    pub(super) fn number(self) -> u64 {
        self.part as u64 * Self::PER_PART + self.section * Self::PER_SECTION + self.place.min(Self::PER_SECTION - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(places: &[(u64, bool, bool)]) -> Course {
        let here = Course::signature as fn(&Course) -> u64 as usize as u64;
        let mut sections = vec![Vec::new()];
        for &(next, is_changed, is_first) in places {
            if is_first {
                sections.push(Vec::new());
            }
            sections.last_mut().unwrap().push(Place { next: here + next, is_changed, is_first });
        }
        Course { first: 0, sections }
    }

    fn numbers(course: &Course, which: Which) -> Vec<u64> {
        let boundaries = course.boundaries(0, which, &mut fastrand::Rng::with_seed(1));
        boundaries.into_iter().map(Boundary::number).collect()
    }

    #[test]
    fn behind_each_change_is_a_boundary_and_the_first_is_one() {
        let course =
            course(&[(1, false, false), (2, false, false), (3, true, false), (4, false, true), (5, true, false)]);
        assert_eq!(numbers(&course, Which::Changes), [0, 2, 1_000_001]);
        assert_eq!(numbers(&course, Which::Each), [0, 1, 2, 1_000_000, 1_000_001]);
    }

    #[test]
    fn changes_are_counted_from_the_beginning_of_a_section() {
        let course = course(&[(1, true, false), (2, true, false), (3, true, true)]);
        let planned = course
            .boundaries(0, Which::Changes, &mut fastrand::Rng::with_seed(1))
            .into_iter()
            .map(|boundary| boundary.on_foot().planned());
        assert!(planned.eq([1, 2, 1].map(Planned::DieAtChange)));
    }

    #[test]
    fn courses_of_the_same_instructions_are_alike_however_often_each_is_made() {
        let first = course(&[(1, false, false), (2, true, false), (3, true, true)]);
        let longer = course(&[(1, false, false), (2, true, false), (2, true, false), (3, true, true)]);
        let other = course(&[(1, false, false), (4, true, false), (3, true, true)]);
        let with_another_point = course(&[(1, false, false), (2, true, true), (3, true, true)]);
        assert_eq!(first.signature(), longer.signature());
        assert_ne!(first.signature(), other.signature());
        assert_ne!(first.signature(), with_another_point.signature());
    }
}
