//! The segment of a trial: opened by each process, looked through and removed by the oracle.

use std::path::Path;
use std::time::{Duration, Instant};

use crosstie_shm::{
    Directory, Error, Expect, Keeper, Mutex, Participant, ParticipantState, Segment, SegmentName, deadline_after,
};

use super::super::{Fault, Seat};

/// Its name.
pub(super) fn name() -> SegmentName {
    "trial".parse().expect("a name of letters")
}

/// The folder of the trial, as a directory of segments.
pub(super) fn directory(place: &Path) -> Result<Directory, String> {
    Directory::at(place).map_err(|error| format!("opening the folder: {error}"))
}

/// The segment, by name.
pub(super) fn open(place: &Path, expect: &Expect) -> Result<Segment, String> {
    Segment::open(&directory(place)?, &name(), expect).map_err(|error| format!("opening the segment: {error}"))
}

/// Reaps the dead, reports who is left in the table though nobody lives, and removes the segment.
pub(super) fn close(place: &Path, seat: Seat) -> Result<(), String> {
    close_named(place, seat, &name(), &Expect::any())
}

/// The same for a segment of another name.
pub(super) fn close_named(place: &Path, seat: Seat, name: &SegmentName, expect: &Expect) -> Result<(), String> {
    let segment =
        Segment::open(&directory(place)?, name, expect).map_err(|error| format!("opening the segment: {error}"))?;
    let keeper = Keeper::of(&segment).map_err(|error| format!("looking after the segment: {error}"))?;
    // A forked child that has not run yet still has what its dead parent had, until it has closed what it inherited.
    let deadline = Instant::now() + PATIENCE;
    let left = loop {
        keeper.reap_dead().map_err(|error| format!("reaping the dead: {error}"))?;
        let slots = 1..=segment.header().participants;
        let left: Vec<_> = slots
            .filter(|slot| segment.participant(*slot).is_some_and(|slot| slot.state() != ParticipantState::Free))
            .collect();
        if left.is_empty() || Instant::now() > deadline {
            break left;
        }
        std::thread::yield_now();
    };
    if !left.is_empty() {
        seat.fault(Fault::LeftBehind, &format!("participants in slots {left:?}, though everyone is dead"));
    }
    let path = place.join(format!("{}@{}", name.as_str(), segment.header().generation));
    std::fs::remove_file(path).map_err(|error| format!("removing the segment: {error}"))
}

/// Reaps the dead until `is_whole`, which is at once but for a forked child that has not run yet and keeps what its dead parent had.
pub(super) fn reap_until(participant: &Participant, is_whole: impl Fn() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        participant.reap_dead().map_err(said("reaping the dead"))?;
        if is_whole() || Instant::now() > deadline {
            return Ok(());
        }
        std::thread::yield_now();
    }
}

/// Takes a seat as soon as it is free: the child of a process that forked and was killed may keep it for an instant, until it has closed what it inherited.
pub(super) fn when_seated<S>(take: impl Fn() -> Result<S, Error>) -> Result<S, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match take() {
            Ok(end) => return Ok(end),
            Err(Error::SeatTaken { .. } | Error::NoPlaceToRead { .. }) if Instant::now() < deadline => {
                std::thread::yield_now()
            }
            Err(error) => return Err(format!("taking a seat: {error}")),
        }
    }
}

/// Takes the seat across as well, if it is free, and does nothing with it: who is stepped through alone would find that the other side has left.
pub(super) fn also_across<S>(seat: Seat, take: impl FnOnce() -> Result<S, Error>) -> Result<Option<S>, String> {
    if !seat.is_alone() {
        return Ok(None);
    }
    match take() {
        Ok(end) => Ok(Some(end)),
        Err(Error::SeatTaken { .. }) => Ok(None),
        Err(error) => Err(format!("taking the seat across: {error}")),
    }
}

/// An error in words, after what was being done.
pub(super) fn said<E: std::fmt::Display>(doing: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{doing}: {error}")
}

/// How long an inherited description may keep a seat.
const PATIENCE: Duration = Duration::from_secs(1);

/// Has this process wait for a lock that does not come, so that its watching thread is there afterwards.
pub(super) fn start_watching() -> Result<(), String> {
    let in_words = |error| format!("a lock to wait for: {error}");
    let mutex = Mutex::anonymous(0_u64).map_err(in_words)?;
    let held = mutex.lock(deadline_after(PATIENCE)).map_err(|error| format!("taking it: {error}"))?;
    let came = std::thread::scope(|scope| scope.spawn(|| mutex.lock(deadline_after(NOTICED)).is_ok()).join());
    drop(held);
    match came {
        Ok(false) => Ok(()),
        _ => Err("expected a lock that is held to be waited for in vain".to_owned()),
    }
}

/// Longer than a wait that needs to know nothing about the holder.
const NOTICED: Duration = Duration::from_millis(2);
