//! Named points at which a test may end the process, to see what the others make of what it left.
//!
//! They exist with the feature `crash-points` alone; what happens at which of them is planned with `crosstie_sys::plan_crash`.

/// Nothing: what can be made to happen here is compiled in for tests alone.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub(crate) const fn point(_name: &'static str) {}

#[cfg(feature = "crash-points")]
pub(crate) use crosstie_sys::crash_point as point;
