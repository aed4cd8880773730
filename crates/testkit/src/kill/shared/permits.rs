//! Permits of a semaphore: never more out than there are, and all back when everyone is gone.

use std::path::Path;

use crosstie_shm::{LockError, LockOutcome, Semaphore, deadline_after};

use super::super::{Fault, Seat, Structure, Tally, Told, Victim};
use super::segment::{close, directory, name, reap_until, start_watching};

/// Three permits among four who take one or two.
#[derive(Clone, Copy, Debug)]
pub struct Permits;

const ALL: u32 = 3;

impl Structure for Permits {
    fn name(&self) -> &'static str {
        "semaphore"
    }

    fn told(&self) -> Told {
        Told::Once
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        let _: Semaphore =
            Semaphore::create(&directory(place)?, &name(), ALL).map_err(|error| format!("making it: {error}"))?;
        Ok(())
    }

    fn join(&self, place: &Path, _seat: Seat) -> Result<Box<dyn Victim>, String> {
        Ok(Box::new(Worker(open(place)?)))
    }

    fn check(&self, place: &Path, seat: Seat, _tally: &Tally) -> Result<(), String> {
        let semaphore = open(place)?;
        reap_until(semaphore.participant(), || semaphore.free() == ALL)?;
        if semaphore.free() != ALL {
            seat.fault(
                Fault::LeftBehind,
                &format!("{} permits of {ALL} are free, and everyone is gone", semaphore.free()),
            );
        }
        drop(semaphore);
        close(place, seat)
    }
}

fn open(place: &Path) -> Result<Semaphore, String> {
    Semaphore::open(&directory(place)?, &name()).map_err(|error| format!("opening it: {error}"))
}

struct Worker(Semaphore);

impl Victim for Worker {
    fn prepare(&mut self) -> Result<(), String> {
        start_watching()
    }

    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        let permits = if chance.u8(..4) == 0 { 2 } else { 1 };
        let acquired = match self.0.acquire_many(permits, deadline_after(seat.patience())) {
            Ok(acquired) => acquired,
            Err(error @ LockError::TimedOut { .. }) => {
                seat.fault(
                    Fault::Stuck,
                    &format!("seat {} waited {:?} for {permits} permits: {error}", seat.index, seat.patience()),
                );
                return Ok(());
            }
            Err(error) => return Err(format!("taking permits: {error}")),
        };
        if let LockOutcome::Recovered(recovery) = acquired.outcome {
            seat.told_of_deaths(u64::from(recovery.deaths));
        }
        seat.holds_permits(u64::from(permits), u64::from(ALL));
        seat.dwell(chance);
        seat.lets_go();
        drop(acquired);
        Ok(())
    }
}
