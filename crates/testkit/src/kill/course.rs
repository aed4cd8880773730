//! The course that a piece of work takes, cut at its crash points, and the instruction boundaries of it at which to kill.

use crosstie_sys::Planned;
use crosstie_sys::trial::{Place, Road, Way};

/// What a process did from the beginning of its counting to its end.
#[derive(Clone, Debug)]
pub(super) struct Course {
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

/// Sections that are longer are not gone through boundary by boundary.
const LONGEST: usize = 1_500;
/// Of so many boundaries between two changes one is tried.
const SAMPLED: u64 = 2_000;

impl Course {
    /// What was recorded; an error if there was no room for all of it.
    pub(super) fn of(road: Road) -> Result<Self, String> {
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
        Ok(Self { sections })
    }

    /// How long it is.
    pub(super) fn instructions(&self) -> u64 {
        self.sections.iter().map(|section| section.len() as u64).sum()
    }

    /// The boundaries to try: each; of sections that are longer than [`LONGEST`], each behind a change of what others can see, for in between a death leaves the same
    /// to them. And a few in between, to see that.
    pub(super) fn boundaries(&self, part: usize, chance: &mut fastrand::Rng) -> Vec<Boundary> {
        let mut all = Vec::new();
        for (number, section) in (0..).zip(&self.sections) {
            let is_each = section.len() <= LONGEST;
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
    pub(super) const PER_PART: u64 = 10_000 * Self::PER_SECTION;

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

    fn section(length: u64, changes: &[u64]) -> Vec<Place> {
        (0..length).map(|at| Place { next: at, is_changed: changes.contains(&at), is_first: at == 0 }).collect()
    }

    fn boundaries(sections: Vec<Vec<Place>>) -> Vec<Boundary> {
        Course { sections }.boundaries(0, &mut fastrand::Rng::with_seed(1))
    }

    #[test]
    fn every_boundary_of_a_short_section_is_tried_and_of_a_long_one_each_behind_a_change() {
        let numbers: Vec<u64> =
            boundaries(vec![section(3, &[2]), section(1_600, &[5, 9])]).into_iter().map(Boundary::number).collect();
        assert!(numbers.starts_with(&[0, 1, 2]));
        assert!([1_000_005, 1_000_009].iter().all(|number| numbers.contains(number)));
        assert!(numbers.len() < 10);
    }

    #[test]
    fn changes_are_counted_from_the_beginning_of_a_section() {
        let all = boundaries(vec![section(2, &[0, 1]), section(1, &[0])]);
        let planned = all.into_iter().map(|boundary| boundary.on_foot().planned());
        assert!(planned.eq([1, 2, 1].map(Planned::DieAtChange)));
    }
}
