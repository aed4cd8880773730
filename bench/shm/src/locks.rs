//! Locks: taken and given back by one thread, with and without a change that could be rolled back, and contended by two processes.

use std::{hint::black_box, sync::atomic::Ordering::Relaxed, time::Instant};

use crosstie_core::Deadline;
use crosstie_shm::{Directory, Mutex, Region};
use crosstie_sys::trial::{MutexKind, PosixPage};

use crate::case::{Act, Failure, Place, Rounds, Side};

fn rounds(mut act: impl FnMut() + 'static) -> Result<Rounds, Failure> {
    Ok(Box::new(move |count| {
        let begun = Instant::now();
        (0..count).for_each(|_| act());
        Ok(begun.elapsed())
    }))
}

/// What everybody knows: no other process, nothing survives.
pub(crate) fn std_mutex(_: &Place<'_>) -> Result<Rounds, Failure> {
    let mutex = std::sync::Mutex::new(0_u64);
    rounds(move || *mutex.lock().expect("nobody panics") += 1)
}

/// The one of POSIX that says when its holder died.
pub(crate) fn robust(place: &Place<'_>) -> Result<Rounds, Failure> {
    let page = PosixPage::create(&place.folder.join("robust"), MutexKind::Robust, 1, 1)?;
    rounds(move || {
        page.lock_without_limit().expect("nobody dies");
        page.unlock().expect("it is locked");
    })
}

/// Ours, and nothing is changed.
pub(crate) fn mutex(place: &Place<'_>) -> Result<Rounds, Failure> {
    let mutex = Mutex::create(&Directory::at(place.folder)?, &"mutex".parse()?, 0_u64)?;
    rounds(move || {
        black_box(&*mutex.lock(Deadline::NEVER).expect("nobody else has it").guard);
    })
}

/// Ours, and one of so many words is changed and committed.
pub(crate) fn commit<const WORDS: usize>(place: &Place<'_>) -> Result<Rounds, Failure> {
    let mutex = Mutex::create(&Directory::at(place.folder)?, &"mutex".parse()?, [0_u64; WORDS])?;
    rounds(move || {
        let mut guard = mutex.lock(Deadline::NEVER).expect("nobody else has it").into_guard();
        guard[0] += 1;
        guard.commit();
    })
}

/// Our region of 64 bytes, which is a lock with a name and a memory for fencing tokens.
pub(crate) fn region(place: &Place<'_>) -> Result<Rounds, Failure> {
    let region = Region::create(&Directory::at(place.folder)?, &"region".parse()?, [0_u64; 8])?;
    rounds(move || {
        let mut guard = region.lock(Deadline::NEVER).expect("nobody else has it").into_guard();
        guard[0] += 1;
        guard.commit();
    })
}

/// Two processes add one to a word under our lock, each as often as it can.
pub(crate) fn contended(place: &Place<'_>) -> Result<Act, Failure> {
    let mutex = Mutex::open_or_create(&Directory::at(place.folder)?, &"mutex".parse()?, 0_u64)?;
    Ok(Box::new(move || {
        let mut guard = mutex.lock(Deadline::NEVER).expect("the other gives it back").into_guard();
        *guard += 1;
        guard.commit();
    }))
}

/// The same under the robust lock of POSIX.
pub(crate) fn robust_contended(place: &Place<'_>) -> Result<Act, Failure> {
    let path = place.folder.join("robust");
    let page = match place.side {
        Side::Measurer => PosixPage::create(&path, MutexKind::Robust, 1, 1)?,
        Side::Peer => PosixPage::open(&path)?,
    };
    Ok(Box::new(move || {
        page.lock_without_limit().expect("nobody dies");
        let word = &page.words()[0];
        word.store(word.load(Relaxed) + 1, Relaxed);
        page.unlock().expect("it is locked");
    }))
}
