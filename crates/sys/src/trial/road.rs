//! The road that a process went, instruction by instruction, where it changed what others can see, and ways to places on it.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::board::shared_cells;

/// Where a process that counts its instructions leaves them, for whoever forked it.
#[derive(Clone, Copy, Debug)]
pub struct Road(&'static [AtomicU64]);

/// A place on a road: behind an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address of the next instruction.
    pub next: u64,
    /// Whether others can see something here that they could not see at the place before: memory that is shared has other bytes, or a
    /// system call was made that is not known to be the caller's own affair.
    pub is_changed: bool,
    /// The instruction behind which it is began a section: a crash point was met.
    pub is_first: bool,
}

/// A way to an instruction boundary: to where this address is reached first, and so many instructions on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    pub(super) address: u64,
    pub(super) further: u64,
}

const BLIND: usize = 1;
const WRITTEN: usize = 2;
const HEAD: usize = WRITTEN + Road::WORDS;
const CHANGED: u64 = 1 << 63;
const FIRST: u64 = 1 << 62;

impl Road {
    /// Words of 64 bits each, one for each piece of shared memory that is told apart.
    pub(super) const WORDS: usize = 512;

    /// Room for so many instructions.
    ///
    /// # Errors
    ///
    /// What `mmap` refuses.
    pub fn new(instructions: usize) -> io::Result<Self> {
        Ok(Self(shared_cells(HEAD + instructions)?))
    }

    /// A road on which nothing is recorded.
    pub const fn none() -> Self {
        Self(&[])
    }

    /// Forgets what is on it, but not which pieces of what is shared were written.
    pub fn clear(&self) {
        self.0.iter().take(WRITTEN).for_each(|cell| cell.store(0, Relaxed));
    }

    /// Whether something was found changed that nobody had looked at behind each instruction: the survey is to be made again.
    pub fn is_blind(&self) -> bool {
        self.0.get(BLIND).is_some_and(|cell| cell.load(Relaxed) != 0)
    }

    /// Which of 64 pieces of what is shared were found changed before, as bits.
    pub(super) fn written(&self, word: usize) -> u64 {
        self.0.get(WRITTEN + word).map_or(0, |cell| cell.load(Relaxed))
    }

    /// Something was found changed at the end that was no deed of the one who was counted.
    pub(super) fn was_blind(&self) {
        if let Some(blind) = self.0.get(BLIND) {
            blind.store(1, Relaxed);
        }
    }

    /// A piece was found changed that was not looked at each time.
    pub(super) fn was_blind_to(&self, word: usize, bit: u32) {
        if let (Some(blind), Some(cell)) = (self.0.get(BLIND), self.0.get(WRITTEN + word)) {
            blind.store(1, Relaxed);
            cell.fetch_or(1 << bit, Relaxed);
        }
    }

    /// Instructions made, recorded or not.
    pub fn made(&self) -> u64 {
        self.0.first().map_or(0, |made| made.load(Relaxed))
    }

    /// Whether there was room for all that were made.
    pub fn is_whole(&self) -> bool {
        self.made() + HEAD as u64 <= self.0.len() as u64
    }

    /// The places, in their order.
    pub fn places(&self) -> Vec<Place> {
        let made = usize::try_from(self.made()).unwrap_or(usize::MAX);
        let cells = self.0.iter().skip(HEAD).take(made).map(|cell| cell.load(Relaxed));
        cells
            .map(|cell| Place {
                next: cell & !(CHANGED | FIRST),
                is_changed: cell & CHANGED != 0,
                is_first: cell & FIRST != 0,
            })
            .collect()
    }

    /// Records a place. Called from a signal handler: touches its cells and no more.
    pub(super) fn record(&self, place: Place) {
        let made = self.made();
        if let Some(cell) = usize::try_from(made).ok().and_then(|made| self.0.get(HEAD + made)) {
            let changed = if place.is_changed { CHANGED } else { 0 };
            let first = if place.is_first { FIRST } else { 0 };
            cell.store(place.next | changed | first, Relaxed);
        }
        if let Some(cell) = self.0.first() {
            cell.store(made + 1, Relaxed);
        }
    }

    /// Where its memory begins.
    pub(super) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    pub(super) const fn cells(&self) -> &'static [AtomicU64] {
        self.0
    }

    pub(super) const fn of(cells: &'static [AtomicU64]) -> Self {
        Self(cells)
    }
}

impl Way {
    /// The ways to all places of a stretch of road, for one who is at its beginning.
    pub fn all(stretch: &[Place]) -> Vec<Self> {
        let mut seen = HashSet::new();
        let mut way = Self { address: 0, further: 0 };
        stretch
            .iter()
            .map(|place| {
                way = if seen.insert(place.next) {
                    Self { address: place.next, further: 0 }
                } else {
                    Self { further: way.further + 1, ..way }
                };
                way
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(next: u64) -> Place {
        Place { next, is_changed: false, is_first: false }
    }

    #[test]
    fn a_way_leads_to_the_last_new_address_and_on_from_there() {
        let ways = Way::all(&[10, 11, 12, 11, 12, 13].map(place));
        let way = |address, further| Way { address, further };
        assert_eq!(ways, [way(10, 0), way(11, 0), way(12, 0), way(12, 1), way(12, 2), way(13, 0)]);
    }

    #[test]
    fn a_road_tells_what_was_recorded_and_whether_there_was_room() {
        let road = Road::new(2).unwrap();
        let places = [Place { is_changed: true, ..place(7) }, Place { is_first: true, ..place(8) }];
        places.iter().for_each(|place| road.record(*place));
        assert_eq!((road.places().as_slice(), road.is_whole()), (&places[..], true));
        road.record(place(9));
        assert_eq!((road.places().len(), road.made(), road.is_whole()), (2, 3, false));
        road.clear();
        assert!(road.places().is_empty());
    }
}
