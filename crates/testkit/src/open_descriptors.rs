//! How many descriptors this process has open.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// For what is let go of at once unless the machine is very busy.
const LONG: Duration = Duration::from_secs(60);

pub(crate) fn count() -> usize {
    fs::read_dir("/proc/self/fd").expect("a process may look at its own descriptors").count()
}

/// How many there are once that has not changed for so long; what lingers ends by itself.
pub(crate) fn at_rest(quiet: Duration) -> usize {
    let until = Instant::now() + LONG;
    let (mut known, mut since) = (count(), Instant::now());
    while since.elapsed() < quiet && Instant::now() < until {
        let now = count();
        if now != known {
            (known, since) = (now, Instant::now());
        }
        thread::yield_now();
    }
    known
}

/// Waits until there are as many as expected, or no fewer than a moment ago; false if that never was.
pub(crate) fn settled(expected: Option<usize>) -> bool {
    let until = Instant::now() + LONG;
    let mut known = usize::MAX;
    while Instant::now() < until {
        let now = count();
        if expected.map_or(now >= known, |expected| now <= expected) {
            return true;
        }
        known = now;
        thread::yield_now();
    }
    false
}
