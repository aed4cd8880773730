//! A file under `flock`: the kernel gives the lock back when its holder dies, and nobody gives back what was half written.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crosstie_sys::trial::{MutexKind, PosixPage};

use super::super::{Fault, Seat, Structure, Tally, Victim};
use super::{PAGE, in_words};

/// Two accounts whose sum is to stay zero; a transfer is two stores.
#[derive(Clone, Copy, Debug)]
pub struct Ledger;

/// One word that is counted up, so that there is nothing to tear: this the harness must find whole.
#[derive(Clone, Copy, Debug)]
pub struct OneWord;

impl Structure for Ledger {
    fn name(&self) -> &'static str {
        "flock-ledger"
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        create(place)
    }

    fn join(&self, place: &Path, _seat: Seat) -> Result<Box<dyn Victim>, String> {
        let locked = Locked::open(place)?;
        Ok(Box::new(Worker { locked, work: transfer }))
    }

    fn check(&self, place: &Path, _seat: Seat, _tally: &Tally) -> Result<(), String> {
        remove(place)
    }
}

impl Structure for OneWord {
    fn name(&self) -> &'static str {
        "flock-word"
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        create(place)
    }

    fn join(&self, place: &Path, _seat: Seat) -> Result<Box<dyn Victim>, String> {
        let locked = Locked::open(place)?;
        Ok(Box::new(Worker { locked, work: count_up }))
    }

    fn check(&self, place: &Path, seat: Seat, tally: &Tally) -> Result<(), String> {
        let locked = Locked::open(place)?;
        let there = locked.page.words()[0].load(Ordering::Relaxed);
        let acknowledged = seat.counted_by_all(0);
        if there < acknowledged {
            seat.fault(Fault::Lost, &format!("{acknowledged} were counted, {there} are there"));
        }
        if there > acknowledged + tally.deaths {
            seat.fault(
                Fault::Doubled,
                &format!("{acknowledged} were counted and {} died, {there} are there", tally.deaths),
            );
        }
        remove(place)
    }
}

fn create(place: &Path) -> Result<(), String> {
    PosixPage::create(&place.join(PAGE), MutexKind::Plain, 1, 1).map(drop).map_err(in_words("making the page"))
}

fn remove(place: &Path) -> Result<(), String> {
    std::fs::remove_file(place.join(PAGE)).map_err(in_words("removing the page"))
}

struct Locked {
    file: File,
    page: PosixPage,
}

impl Locked {
    fn open(place: &Path) -> Result<Self, String> {
        let path = place.join(PAGE);
        let file = File::open(&path).map_err(in_words("opening the page"))?;
        let page = PosixPage::open(&path).map_err(in_words("mapping the page"))?;
        Ok(Self { file, page })
    }
}

struct Worker {
    locked: Locked,
    work: fn(&[AtomicU64], Seat),
}

impl Victim for Worker {
    fn step(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        self.locked.file.lock().map_err(in_words("locking the file"))?;
        seat.enters();
        (self.work)(self.locked.page.words(), seat);
        seat.leaves();
        self.locked.file.unlock().map_err(in_words("unlocking the file"))
    }
}

fn transfer(words: &[AtomicU64], seat: Seat) {
    let [from, to] = [&words[0], &words[1]];
    let sum = from.load(Ordering::Relaxed).wrapping_add(to.load(Ordering::Relaxed));
    if sum != 0 {
        seat.fault(Fault::Torn, &format!("the accounts add up to {} and not to 0", sum.cast_signed()));
    }
    from.store(from.load(Ordering::Relaxed).wrapping_sub(5), Ordering::Relaxed);
    to.store(to.load(Ordering::Relaxed).wrapping_add(5), Ordering::Relaxed);
}

fn count_up(words: &[AtomicU64], seat: Seat) {
    words[0].store(words[0].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    seat.count(0, 1);
}
