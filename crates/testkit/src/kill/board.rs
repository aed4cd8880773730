//! The board: what the processes of a trial tell the one that kills them, in memory that outlives them all.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crosstie_sys::crash_point;
use crosstie_sys::trial::shared_cells;

use super::clock::now_ns;

/// What a trial can find wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Somebody waits for a thing that nobody will bring.
    Stuck,
    /// A value is neither what it was nor what it was to become.
    Torn,
    /// Something acknowledged is not there.
    Lost,
    /// Something is there more often than it may be.
    Doubled,
    /// Two hold what only one may.
    GrantedTwice,
    /// A death was told too often, or not at all.
    Told,
    /// Files, descriptors, mappings, loans or permits are left.
    LeftBehind,
    /// An operation failed that should not, or a process died by itself.
    Broken,
}

impl Fault {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Stuck,
        Self::Torn,
        Self::Lost,
        Self::Doubled,
        Self::GrantedTwice,
        Self::Told,
        Self::LeftBehind,
        Self::Broken,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Torn => "torn",
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::GrantedTwice => "granted-twice",
            Self::Told => "told",
            Self::LeftBehind => "left-behind",
            Self::Broken => "broken",
        }
    }
}

/// Cells that all processes of a trial share.
#[derive(Debug)]
pub struct Board {
    cells: &'static [AtomicU64],
}

/// The place of one process on the board; the one who comes after a dead one sits down in its seat.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// Which seat it is, from 0.
    pub index: usize,
    global: &'static [AtomicU64],
    own: &'static [AtomicU64],
    all: &'static [AtomicU64],
}

/// Cells of the whole board.
mod global {
    pub(super) const FINISH: usize = 0;
    pub(super) const OCCUPANT: usize = 1;
    pub(super) const TEXT_TAKEN: usize = 2;
    pub(super) const STAGE: usize = 3;
    pub(super) const PID: usize = 4;
    pub(super) const TOKEN: usize = 5;
    pub(super) const PATIENCE: usize = 6;
    pub(super) const FAULTS: usize = 16;
    pub(super) const TEXT: usize = 32;
    pub(super) const TEXT_LEN: usize = 64;
    pub(super) const LEN: usize = 128;
}

/// Cells of one seat.
mod own {
    pub(super) const BEGUN: usize = 0;
    pub(super) const DONE: usize = 1;
    pub(super) const INSIDE: usize = 2;
    pub(super) const TOLD: usize = 3;
    pub(super) const TOLD_AT: usize = 4;
    pub(super) const COUNT: usize = 5;
    pub(super) const ALIVE: usize = 9;
    pub(super) const LEFT_BEHIND: usize = 10;
    pub(super) const POINT: usize = 11;
    pub(super) const POINT_LEN: usize = 5;
    pub(super) const STEPPED: usize = 16;
    pub(super) const TOLD_PENDING: usize = 17;
    pub(super) const TOLD_LAST: usize = 18;
    pub(super) const LEN: usize = 24;
}

/// How a seat is stepped through.
mod stepped {
    pub(super) const AMONG_OTHERS: u64 = 1;
    pub(super) const ALONE: u64 = 2;
}

impl Board {
    /// Kinds of things that a structure counts for its oracle; see [`Seat::count`].
    pub const COUNTS: usize = 4;

    /// A board of so many seats.
    ///
    /// # Errors
    ///
    /// What `mmap` refuses.
    pub fn new(seats: usize) -> io::Result<Self> {
        Ok(Self { cells: shared_cells(global::LEN + seats * own::LEN)? })
    }

    /// Wipes everything, for the next trial. Only while nobody sits.
    pub fn wipe(&self) {
        self.cells.iter().for_each(|cell| cell.store(0, Ordering::Relaxed));
    }

    /// Seats in all.
    pub fn seats(&self) -> usize {
        (self.cells.len() - global::LEN) / own::LEN
    }

    /// One seat.
    pub fn seat(&self, index: usize) -> Seat {
        let (global, all) = self.cells.split_at(global::LEN);
        Seat { index, global, own: &all[index * own::LEN..][..own::LEN], all }
    }

    /// Asks all to finish what they do and leave.
    pub fn finish(&self) {
        self.cells[global::FINISH].store(1, Ordering::Release);
    }

    /// How often a fault was found.
    pub fn faults(&self, fault: Fault) -> u64 {
        self.cells[global::FAULTS + fault as usize].load(Ordering::Acquire)
    }

    /// Whether anything was found.
    pub fn has_faults(&self) -> bool {
        Fault::ALL.into_iter().any(|fault| self.faults(fault) > 0)
    }

    /// The words that came with the first fault.
    pub fn text(&self) -> String {
        read_text(&self.cells[global::TEXT..][..global::TEXT_LEN])
    }

    /// Says how long a wait may last before it is called stuck.
    pub(super) fn set_patience(&self, patience: Duration) {
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.cells[global::PATIENCE].store(millis, Ordering::Release);
    }

    /// The cell that carries an id out of a namespace.
    pub(super) fn pid_cell(&self) -> &'static AtomicU64 {
        &self.cells[global::PID]
    }

    /// How far the one who is to recover has come.
    pub(super) fn stage(&self) -> u64 {
        self.cells[global::STAGE].load(Ordering::Acquire)
    }

    /// Says how far the one who is to recover is, or may go.
    pub(super) fn set_stage(&self, stage: u64) {
        self.cells[global::STAGE].store(stage, Ordering::Release);
    }

    /// The sum over all seats of how often a death was told.
    pub(super) fn told(&self) -> u64 {
        (0..self.seats()).map(|seat| self.seat(seat).read(own::TOLD)).sum()
    }
}

impl Seat {
    /// Whether all are asked to leave.
    pub fn is_finishing(&self) -> bool {
        self.global[global::FINISH].load(Ordering::Acquire) != 0
    }

    /// How long to wait for something before it is called stuck.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.global[global::PATIENCE].load(Ordering::Acquire))
    }

    /// Notes that what only one may hold is held by this seat, from now until [`leaves`](Self::leaves). Call it right after acquiring.
    ///
    /// A seat that finds another living seat inside reports [`Fault::GrantedTwice`].
    pub fn enters(&self) {
        self.holds();
        crash_point!("board.entered");
        let before = self.global[global::OCCUPANT].swap(self.index as u64 + 1, Ordering::AcqRel);
        if let Some(other) = before.checked_sub(1).and_then(|other| usize::try_from(other).ok())
            && other != self.index
            && self.is_alive(other)
        {
            self.fault(Fault::GrantedTwice, &format!("seat {} was let in while seat {other} was inside", self.index));
        }
    }

    /// Notes the end of [`enters`](Self::enters). Call it right before giving back.
    pub fn leaves(&self) {
        crash_point!("board.leaves");
        let own = self.index as u64 + 1;
        // Somebody else who was let in as well has reported it already.
        let _ = self.global[global::OCCUPANT].compare_exchange(own, 0, Ordering::AcqRel, Ordering::Relaxed);
        self.lets_go();
    }

    /// Notes that this seat holds something whose death must be told; for things that several may hold.
    pub fn holds(&self) {
        self.own[own::INSIDE].store(1, Ordering::SeqCst);
    }

    /// Notes that this seat holds so many of `all` permits. Reports it if the living hold more than there are.
    pub fn holds_permits(&self, permits: u64, all: u64) {
        self.own[own::INSIDE].store(permits, Ordering::SeqCst);
        let living = (0..self.all.len() / own::LEN).filter(|seat| self.is_alive(*seat));
        let held: u64 = living.map(|seat| self.all[seat * own::LEN + own::INSIDE].load(Ordering::SeqCst)).sum();
        if held > all {
            self.fault(Fault::GrantedTwice, &format!("{held} permits of {all} are held by the living"));
        }
        crash_point!("board.holds_permits");
    }

    /// Notes the end of [`holds`](Self::holds). Call it right before giving back.
    pub fn lets_go(&self) {
        // Who dies before this has told nobody: the next one is told of both deaths.
        let told = self.own[own::TOLD_PENDING].swap(0, Ordering::SeqCst);
        self.own[own::TOLD_LAST].store(told, Ordering::SeqCst);
        self.own[own::TOLD].fetch_add(told, Ordering::SeqCst);
        self.own[own::INSIDE].store(0, Ordering::SeqCst);
    }

    /// Notes that the structure told of the deaths of so many who held it. Counts once this seat lets go.
    pub fn told_of_deaths(&self, deaths: u64) {
        self.own[own::TOLD_AT].store(now_ns(), Ordering::Relaxed);
        self.own[own::TOLD_PENDING].store(deaths, Ordering::SeqCst);
    }

    /// Passes some time with what is held, so that ends at random instants find it held; none while instructions are counted.
    pub fn dwell(&self, chance: &mut fastrand::Rng) {
        if self.read(own::STEPPED) == 0 && chance.u8(..4) == 0 {
            for _ in 0..chance.u32(..5_000) {
                std::hint::spin_loop();
            }
        }
    }

    /// Whether this seat is stepped through, and should do the same each time.
    pub fn is_stepped(&self) -> bool {
        self.read(own::STEPPED) != 0
    }

    /// Whether this seat is stepped through with nobody else there, so that it may be the other side as well.
    pub fn is_alone(&self) -> bool {
        self.read(own::STEPPED) == stepped::ALONE
    }

    /// Takes note of a number that only grows, seen by whoever is alone inside; reports it if it has not grown.
    pub fn saw_token(&self, token: u64) {
        let before = self.global[global::TOKEN].swap(token, Ordering::AcqRel);
        if token <= before {
            self.fault(Fault::GrantedTwice, &format!("fencing token {token} came after {before}"));
        }
    }

    /// Adds to a count of this seat, kept over its deaths: what was acknowledged, sent, received. What each means is the structure's affair.
    pub fn count(&self, which: usize, more: u64) {
        assert!(which < Board::COUNTS, "a seat has {} counts", Board::COUNTS);
        self.own[own::COUNT + which].fetch_add(more, Ordering::AcqRel);
    }

    /// A count of this seat so far, its former occupants' included.
    pub fn counted(&self, which: usize) -> u64 {
        assert!(which < Board::COUNTS, "a seat has {} counts", Board::COUNTS);
        self.read(own::COUNT + which)
    }

    /// A count, summed over all seats.
    pub fn counted_by_all(&self, which: usize) -> u64 {
        self.all.chunks(own::LEN).map(|seat| seat[own::COUNT + which].load(Ordering::Acquire)).sum()
    }

    /// Reports a fault. The words of the first one are kept.
    pub fn fault(&self, fault: Fault, text: &str) {
        if self.global[global::TEXT_TAKEN].swap(1, Ordering::AcqRel) == 0 {
            let text = format!("{}: {text}", fault.name());
            write_text(&self.global[global::TEXT..][..global::TEXT_LEN], &text);
        }
        self.global[global::FAULTS + fault as usize].fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn begins(&self) {
        crash_point!("board.begins");
        self.own[own::TOLD_LAST].store(0, Ordering::SeqCst);
        self.own[own::BEGUN].fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn has_done(&self) {
        crash_point!("board.has_done");
        self.own[own::DONE].fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn begun(&self) -> u64 {
        self.read(own::BEGUN)
    }

    pub(super) fn done(&self) -> u64 {
        self.read(own::DONE)
    }

    pub(super) fn is_inside(&self) -> bool {
        self.read(own::INSIDE) != 0
    }

    /// Deaths that were told to this seat, which may have died before it gave back what it held; then they are told again.
    pub(super) fn told_last(&self) -> u64 {
        self.read(own::TOLD_LAST)
    }

    /// Whoever sits here is stepped through, with others there or alone.
    pub(super) fn becomes_stepped(&self, is_alone: bool) {
        let how = if is_alone { stepped::ALONE } else { stepped::AMONG_OTHERS };
        self.own[own::STEPPED].store(how, Ordering::SeqCst);
    }

    pub(super) fn told_at(&self) -> u64 {
        self.read(own::TOLD_AT)
    }

    /// A process sits down; it counts as alive until [`gets_up`](Self::gets_up).
    pub(super) fn sits_down(&self) {
        self.own[own::BEGUN].store(0, Ordering::SeqCst);
        self.own[own::DONE].store(0, Ordering::SeqCst);
        self.own[own::INSIDE].store(0, Ordering::SeqCst);
        self.point_cells().iter().for_each(|cell| cell.store(0, Ordering::SeqCst));
        for cell in [own::STEPPED, own::TOLD_PENDING, own::TOLD_LAST] {
            self.own[cell].store(0, Ordering::SeqCst);
        }
        self.own[own::ALIVE].store(1, Ordering::SeqCst);
    }

    /// The cell that says that its process lives.
    pub(super) fn alive(&self) -> &'static AtomicU64 {
        &self.own[own::ALIVE]
    }

    /// Its process is about to be killed, or to leave.
    pub(super) fn gets_up(&self) {
        self.own[own::ALIVE].store(0, Ordering::SeqCst);
    }

    /// Its process is gone, and the next one to sit here is not inside because this one was.
    pub(super) fn is_vacated(&self) {
        let own = self.index as u64 + 1;
        // Somebody else is inside by now, if it is not this one.
        let _ = self.global[global::OCCUPANT].compare_exchange(own, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    pub(super) fn left_behind(&self) -> &'static AtomicU64 {
        &self.own[own::LEFT_BEHIND]
    }

    /// The cells that carry the name of the crash point that was met.
    pub(super) fn point_cells(&self) -> &'static [AtomicU64] {
        &self.own[own::POINT..][..own::POINT_LEN]
    }

    /// The name of the crash point that was met, as far as it fits; empty if none was.
    pub(super) fn point(&self) -> String {
        read_text(self.point_cells())
    }

    /// Whether the process of a seat is not known to be dead. Who has left the name of a crash point dies there, unless it goes on to count instructions.
    fn is_alive(&self, other: usize) -> bool {
        let cell = |cell: usize| self.all[other * own::LEN + cell].load(Ordering::SeqCst);
        cell(own::ALIVE) != 0 && (cell(own::POINT) == 0 || cell(own::STEPPED) != 0)
    }

    fn read(&self, cell: usize) -> u64 {
        self.own[cell].load(Ordering::SeqCst)
    }
}

fn write_text(cells: &[AtomicU64], text: &str) {
    for (cell, bytes) in cells.iter().zip(text.as_bytes().chunks(8)) {
        let word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        cell.store(word, Ordering::Release);
    }
}

fn read_text(cells: &[AtomicU64]) -> String {
    let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.load(Ordering::Acquire).to_le_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_first_fault_are_kept() {
        let board = Board::new(2).unwrap();
        board.seat(0).fault(Fault::Torn, "words 3 and 4 differ");
        board.seat(1).fault(Fault::Lost, "never seen");
        assert_eq!(board.text(), "torn: words 3 and 4 differ");
        assert_eq!((board.faults(Fault::Torn), board.faults(Fault::Lost), board.faults(Fault::Stuck)), (1, 1, 0));
    }

    #[test]
    fn two_living_seats_inside_are_one_too_many() {
        let board = Board::new(2).unwrap();
        let [first, second] = [board.seat(0), board.seat(1)];
        first.sits_down();
        second.sits_down();
        first.enters();
        first.leaves();
        second.enters();
        assert!(!board.has_faults());
        first.enters();
        assert_eq!(board.faults(Fault::GrantedTwice), 1);
    }

    #[test]
    fn a_dead_seat_inside_is_none_too_many() {
        let board = Board::new(2).unwrap();
        let [first, second] = [board.seat(0), board.seat(1)];
        first.sits_down();
        second.sits_down();
        first.enters();
        first.gets_up();
        second.enters();
        assert!(!board.has_faults());
    }

    #[test]
    fn counts_outlive_who_counted() {
        let board = Board::new(2).unwrap();
        board.seat(0).count(1, 5);
        board.seat(0).sits_down();
        board.seat(1).count(1, 2);
        assert_eq!((board.seat(0).counted(1), board.seat(0).counted_by_all(1)), (5, 7));
    }
}
