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
