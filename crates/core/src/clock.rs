//! Two clocks that are never mixed up: one for every timer, one for stored time stamps.
//!
//! [`Mono`] only moves forward and means nothing outside this machine's run; every deadline, lease validity and retry uses it.
//! [`Wall`] is the calendar; it may jump, and is only ever written down or shown, never compared with a deadline.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A point on the monotonic clock, in nanoseconds since an arbitrary start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(u64);

impl Mono {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);
    /// The last representable instant, some 584 years after the start.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, or zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Mono {
    type Output = Duration;

    fn sub(self, rhs: Self) -> Duration {
        self.since(rhs)
    }
}

impl fmt::Debug for Mono {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mono+{:?}", Duration::from_nanos(self.0))
    }
}

/// A point on the calendar, in nanoseconds since the Unix epoch (UTC).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Wall(u64);

impl Wall {
    /// The instant `nanos` nanoseconds after 1970-01-01T00:00:00Z.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The monotonic time.
    fn mono(&self) -> Mono;
    /// The calendar time.
    fn wall(&self) -> Wall;
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn mono(&self) -> Mono {
        Mono::ZERO + self.start.elapsed()
    }

    fn wall(&self) -> Wall {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Wall(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A clock that moves only when it is told to, for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at zero.
    pub const fn new() -> Self {
        Self { nanos: AtomicU64::new(0) }
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        // Relaxed is enough: the value carries no other data with it.
        self.nanos.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Moves the time to `to`, unless it is already past it.
    pub fn advance_to(&self, to: Mono) {
        self.nanos.fetch_max(to.as_nanos(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn mono(&self) -> Mono {
        Mono(self.nanos.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Wall {
        Wall(self.nanos.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_never_goes_below_zero() {
        assert_eq!(Mono::ZERO - Mono::from_nanos(5), Duration::ZERO);
        assert_eq!(Mono::MAX + Duration::from_secs(1), Mono::MAX);
    }

    #[test]
    fn a_manual_clock_never_goes_back() {
        let clock = ManualClock::new();
        clock.advance(Duration::from_nanos(10));
        clock.advance_to(Mono::from_nanos(3));
        assert_eq!(clock.mono(), Mono::from_nanos(10));
    }
}
