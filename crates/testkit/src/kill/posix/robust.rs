//! A robust mutex of POSIX over two words: the lock survives its holder, the words do not.

use std::path::Path;
use std::sync::atomic::Ordering;

use crosstie_sys::trial::{Locked, MutexKind, PosixPage};

use super::super::{Fault, Seat, Structure, Tally, Told, Victim};
use super::{PAGE, WAIT, in_words};

/// Two words that are equal whenever nobody holds the mutex, if nobody dies.
#[derive(Clone, Copy, Debug)]
pub struct Robust;

impl Structure for Robust {
    fn name(&self) -> &'static str {
        "posix-robust"
    }

    fn told(&self) -> Told {
        Told::Once
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        PosixPage::create(&place.join(PAGE), MutexKind::Robust, 1, 1).map(drop).map_err(in_words("making the page"))
    }

    fn join(&self, place: &Path, _seat: Seat) -> Result<Box<dyn Victim>, String> {
        Ok(Box::new(Worker(PosixPage::open(&place.join(PAGE)).map_err(in_words("mapping the page"))?)))
    }

    fn check(&self, place: &Path, _seat: Seat, _tally: &Tally) -> Result<(), String> {
        std::fs::remove_file(place.join(PAGE)).map_err(in_words("removing the page"))
    }
}

struct Worker(PosixPage);

impl Victim for Worker {
    fn step(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        match self.0.lock(WAIT) {
            Ok(Locked::Clean) => seat.enters(),
            Ok(Locked::OwnerDied) => {
                seat.enters();
                seat.told_of_deaths(1);
                self.0.make_consistent().map_err(in_words("making the mutex consistent"))?;
            }
            Err(error) => {
                seat.fault(Fault::Stuck, &format!("no mutex after {WAIT:?}: {error}"));
                return Ok(());
            }
        }
        let [first, second] = [&self.0.words()[0], &self.0.words()[1]];
        let found = (first.load(Ordering::Relaxed), second.load(Ordering::Relaxed));
        if found.0 != found.1 {
            seat.fault(Fault::Torn, &format!("the words are {} and {}", found.0, found.1));
        }
        first.store(found.0 + 1, Ordering::Relaxed);
        second.store(found.1 + 1, Ordering::Relaxed);
        seat.leaves();
        self.0.unlock().map_err(in_words("unlocking"))
    }
}
