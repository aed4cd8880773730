//! The clocks that all processes of a machine share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crosstie_core::{Deadline, Mono, Wall};

/// The machine's monotonic time: the same in every process, unlike that of `SystemClock`, which starts at zero. Deadlines of waits in shared
/// memory are instants of this clock.
pub fn now() -> Mono {
    Mono::from_nanos(crosstie_sys::monotonic_nanos())
}

/// The deadline `timeout` from now.
pub fn deadline_after(timeout: Duration) -> Deadline {
    Deadline::after(now(), timeout)
}

/// The calendar time, for time stamps that people read.
pub fn wall() -> Wall {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_unix_nanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
