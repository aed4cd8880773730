//! One value, read while it is written: whole, never older than what was acknowledged, never going back.

use std::path::Path;

use crosstie_shm::{Latest, Reader, Writer};

use super::super::{Fault, Seat, Structure, Tally, Victim};
use super::segment::{close, directory, name, said, when_seated};

/// One writer and two readers; each value is its own number, in every word.
#[derive(Clone, Copy, Debug)]
pub struct Newest;

type Value = [u64; 12];

/// Numbers given out; the number behind the last one that was acknowledged.
const NUMBERS: usize = 0;
const WRITTEN: usize = 1;
const READERS: u32 = 4;

impl Structure for Newest {
    fn name(&self) -> &'static str {
        "latest"
    }

    fn parts(&self) -> usize {
        3
    }

    fn seats(&self) -> usize {
        3
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        let _: Latest<Value> =
            Latest::create(&directory(place)?, &name(), READERS).map_err(said("making the value"))?;
        Ok(())
    }

    fn join(&self, place: &Path, seat: Seat) -> Result<Box<dyn Victim>, String> {
        let value = open(place)?;
        Ok(if seat.index.is_multiple_of(3) {
            Box::new(Writes(when_seated(|| value.writer())?))
        } else {
            Box::new(Reads { reader: when_seated(|| value.reader())?, last: (0, 0) })
        })
    }

    fn check(&self, place: &Path, seat: Seat, _tally: &Tally) -> Result<(), String> {
        let value = open(place)?;
        let mut reader = Reads { reader: value.reader().map_err(said("reading"))?, last: (0, 0) };
        reader.read(seat, &mut fastrand::Rng::with_seed(1))?;
        drop((reader, value));
        close(place, seat)
    }
}

fn open(place: &Path) -> Result<Latest<Value>, String> {
    Latest::open(&directory(place)?, &name()).map_err(said("opening the value"))
}

struct Writes(Writer<Value>);

impl Victim for Writes {
    fn step(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        let number = seat.counted_by_all(NUMBERS);
        seat.count(NUMBERS, 1);
        self.0.write(&[number; 12]).map_err(said("writing"))?;
        // Those before it that were not acknowledged are older than this.
        seat.count(WRITTEN, number + 1 - seat.counted_by_all(WRITTEN));
        Ok(())
    }
}

struct Reads {
    reader: Reader<Value>,
    /// Number behind the last that was seen, and its version.
    last: (u64, u64),
}

impl Victim for Reads {
    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        self.read(seat, chance)
    }
}

impl Reads {
    fn read(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        let written = seat.counted_by_all(WRITTEN);
        let Some(found) = self.reader.read().map_err(said("reading"))? else {
            if written > 0 {
                seat.fault(Fault::Lost, &format!("{written} values were written, and there is none"));
            }
            return Ok(());
        };
        let [number, ..] = *found;
        seat.dwell(chance);
        if found.iter().any(|word| *word != number) {
            seat.fault(Fault::Torn, &format!("the value has the words {:?}", *found));
        }
        if number + 1 < written {
            seat.fault(
                Fault::Lost,
                &format!("value {} was written before the read began, which found {number}", written - 1),
            );
        }
        let seen = (number + 1, found.version());
        if seen.0 < self.last.0 || seen.1 < self.last.1 {
            seat.fault(Fault::Doubled, &format!("number and version went back from {:?} to {seen:?}", self.last));
        }
        self.last = seen;
        Ok(())
    }
}
