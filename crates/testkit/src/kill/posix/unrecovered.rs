//! Locks of POSIX that nobody gives back when their holder dies.

use std::io;
use std::path::Path;

use crosstie_sys::trial::{MutexKind, PosixPage};

use super::super::{Fault, Seat, Structure, Tally, Victim};
use super::{PAGE, WAIT, in_words};

/// A lock without recovery: who dies holding it leaves the others stuck.
#[derive(Clone, Copy, Debug)]
pub struct Unrecovered(pub Held);

/// Which lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A mutex that is not robust.
    Mutex,
    /// An rwlock, to write.
    Writer,
    /// An rwlock, to read, now and then to write.
    Reader,
    /// One of two permits of a semaphore.
    Permit,
}

impl Structure for Unrecovered {
    fn name(&self) -> &'static str {
        match self.0 {
            Held::Mutex => "posix-mutex",
            Held::Writer => "posix-writer",
            Held::Reader => "posix-reader",
            Held::Permit => "posix-permit",
        }
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        PosixPage::create(&place.join(PAGE), MutexKind::Plain, 2, 1).map(drop).map_err(in_words("making the page"))
    }

    fn join(&self, place: &Path, _seat: Seat) -> Result<Box<dyn Victim>, String> {
        let page = PosixPage::open(&place.join(PAGE)).map_err(in_words("mapping the page"))?;
        Ok(Box::new(Worker { page, held: self.0 }))
    }

    fn check(&self, place: &Path, _seat: Seat, _tally: &Tally) -> Result<(), String> {
        std::fs::remove_file(place.join(PAGE)).map_err(in_words("removing the page"))
    }
}

struct Worker {
    page: PosixPage,
    held: Held,
}

impl Worker {
    fn acquire(&self, held: Held) -> io::Result<()> {
        match held {
            Held::Mutex => self.page.lock(WAIT).map(drop),
            Held::Writer => self.page.write_lock(WAIT),
            Held::Reader => self.page.read_lock(WAIT),
            Held::Permit => self.page.take_permit(WAIT),
        }
    }

    fn give_back(&self, held: Held) -> io::Result<()> {
        match held {
            Held::Mutex => self.page.unlock(),
            Held::Writer | Held::Reader => self.page.rw_unlock(),
            Held::Permit => self.page.give_permit(),
        }
    }
}

impl Victim for Worker {
    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        // Dead readers are in the way of writers alone.
        let held = if self.held == Held::Reader && chance.u8(..4) == 0 { Held::Writer } else { self.held };
        if let Err(error) = self.acquire(held) {
            seat.fault(Fault::Stuck, &format!("not acquired after {WAIT:?}: {error}"));
            return Ok(());
        }
        seat.holds();
        seat.lets_go();
        self.give_back(held).map_err(in_words("giving back"))
    }
}
