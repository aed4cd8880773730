//! Named points at which a test may end the process.

/// A named point at which a test may end, stop or fork the process; nothing at all without the feature `crash-points` of `crosstie-sys`.
///
/// Put one between any two stores that another process could see apart. Names are `structure.what_has_just_been_done`.
#[cfg(not(feature = "crash-points"))]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {};
}

/// A named point at which a test may end, stop or fork the process; nothing at all without the feature `crash-points` of `crosstie-sys`.
///
/// Put one between any two stores that another process could see apart. Names are `structure.what_has_just_been_done`.
#[cfg(feature = "crash-points")]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::hit($name)
    };
}

#[cfg(feature = "crash-points")]
pub use planned::{CrashPlan, hit, plan_crash};

#[cfg(feature = "crash-points")]
mod planned {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::trial::Act;

    /// What this process will do, and at which point.
    #[derive(Clone, Copy, Debug)]
    pub struct CrashPlan {
        /// Which hit, counted from 1 over all points; 0 for none.
        pub at_hit: u64,
        /// What happens there.
        pub act: Act,
        /// Where the name of the point is left, eight bytes in each.
        pub name_goes_to: &'static [AtomicU64],
    }

    static PLAN: OnceLock<CrashPlan> = OnceLock::new();
    static HITS: AtomicU64 = AtomicU64::new(0);

    /// Plans the end of this process. Only the first plan counts; a forked child keeps it, and its count of hits.
    pub fn plan_crash(plan: CrashPlan) {
        // A second plan is no error: one child has one end.
        let _ = PLAN.set(plan);
    }

    /// A point was reached; called by [`crash_point!`](crate::crash_point).
    #[inline]
    pub fn hit(name: &'static str) {
        if let Some(plan) = PLAN.get() {
            let hits = HITS.fetch_add(1, Ordering::Relaxed) + 1;
            if hits == plan.at_hit {
                for (cell, bytes) in plan.name_goes_to.iter().zip(name.as_bytes().chunks(8)) {
                    let word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
                    cell.store(word, Ordering::Relaxed);
                }
                plan.act.perform();
            }
        }
    }
}
