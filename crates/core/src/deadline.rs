//! An instant by which something must have happened.

use std::{ops::Add, time::Duration};

use crate::Mono;

/// The longest wait that there is: a hundred years.
pub const LONGEST_WAIT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The instant at which a wait of `timeout` ends that begins `now`, on the clock that `now` came from; a hundred years later at most.
///
/// Clocks of the standard library and of runtimes panic beyond their end, and a wait may come from a stranger's URL, so nobody adds one to a clock in
/// another way.
///
/// ```
/// # use crosstie_core::{LONGEST_WAIT, instant_after};
/// # use std::time::{Duration, Instant};
/// let now = Instant::now();
/// assert_eq!(instant_after(now, Duration::from_secs(3)), now + Duration::from_secs(3));
/// assert_eq!(instant_after(now, Duration::MAX), now + LONGEST_WAIT);
/// ```
pub fn instant_after<I: Add<Duration, Output = I>>(now: I, timeout: Duration) -> I {
    now + timeout.min(LONGEST_WAIT)
}

/// An instant on the monotonic clock after which a wait gives up.
///
/// A deadline is a point in time, not a length: it can be handed down through nested calls without growing. It is
/// passed together with `now`, because only the caller knows which clock it came from.
///
/// ```
/// # use crosstie_core::{Deadline, Mono};
/// # use std::{ops::Add, time::Duration};
/// let now = Mono::ZERO;
/// let deadline = Deadline::after(now, Duration::from_millis(500));
/// let later = now + Duration::from_millis(200);
/// assert_eq!(deadline.remaining(later), Some(Duration::from_millis(300)));
/// assert!(!deadline.expired(later));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Mono);

impl Deadline {
    /// No limit. It must be spelled; nothing defaults to it.
    pub const NEVER: Self = Self(Mono::MAX);

    /// The deadline at `instant`.
    pub const fn at(instant: Mono) -> Self {
        Self(instant)
    }

    /// The deadline `timeout` from `now`.
    pub fn after(now: Mono, timeout: Duration) -> Self {
        Self(now + timeout)
    }

    /// The instant itself; `None` if there is no limit.
    pub fn instant(self) -> Option<Mono> {
        (self != Self::NEVER).then_some(self.0)
    }

    /// The time left at `now`, zero when it has passed; `None` if there is no limit.
    pub fn remaining(self, now: Mono) -> Option<Duration> {
        self.instant().map(|instant| instant.since(now))
    }

    /// True once `now` has reached the deadline.
    pub fn expired(self, now: Mono) -> bool {
        self != Self::NEVER && now >= self.0
    }

    /// The earlier of two deadlines.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        self.min(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_does_not_expire_even_at_the_end_of_time() {
        assert!(!Deadline::NEVER.expired(Mono::MAX));
        assert_eq!(Deadline::NEVER.remaining(Mono::MAX), None);
    }

    #[test]
    fn a_nested_deadline_cannot_outlive_its_parent() {
        let parent = Deadline::after(Mono::ZERO, Duration::from_secs(1));
        let child = Deadline::after(Mono::ZERO, Duration::from_secs(9));
        assert_eq!(child.earlier(parent), parent);
        assert_eq!(child.earlier(Deadline::NEVER), child);
    }
}
