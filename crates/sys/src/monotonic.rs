//! The kernel's monotonic clock, which all processes of a machine share.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on `CLOCK_MONOTONIC`: the same for every process outside a time namespace, unlike `std::time::Instant`, which hides its
/// number.
pub fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).expect("the monotonic clock starts at zero");
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).expect("the kernel gives less than a second")
}
