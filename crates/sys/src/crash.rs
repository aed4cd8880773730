//! Named points at which a test may end the process.

/// A named point at which a test may end the process; nothing at all without the feature `crash-points` of `crosstie-sys`.
///
/// Put one between any two stores that another process could see apart. Names are `structure.what_has_just_been_done`.
#[cfg(not(feature = "crash-points"))]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {};
}

/// A named point at which a test may end the process; nothing at all without the feature `crash-points` of `crosstie-sys`.
///
/// Put one between any two stores that another process could see apart. Names are `structure.what_has_just_been_done`.
#[cfg(feature = "crash-points")]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::hit($name)
    };
}

/// Does `act` without counting its instructions, in a process that counts its own: what cannot be interrupted behind each of them.
///
/// Starting a thread is such a thing, for it blocks every signal meanwhile.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn uncounted<R>(act: impl FnOnce() -> R) -> R {
    act()
}

#[cfg(feature = "crash-points")]
pub use planned::{CrashPlan, NEXT_POINT, Planned, hit, plan_crash, uncounted};

#[cfg(feature = "crash-points")]
mod planned {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::trial::{
        Act, Way, count_on, die_after, die_at_change, die_behind, fork_if_told, leave, meets_point, pause_deeds,
        resume_deeds, stop_counting, survey,
    };

    /// What this process will do, and at which point.
    #[derive(Clone, Copy, Debug)]
    pub struct CrashPlan {
        /// Which hit, counted from 1 over all points that this process meets from now on.
        pub at_hit: u64,
        /// What happens there.
        pub planned: Planned,
        /// Where the name of the point is left, eight bytes in each.
        pub name_goes_to: &'static [AtomicU64],
    }

    /// What happens at a crash point.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Planned {
        /// This, there.
        Act(Act),
        /// Killed behind so many instructions from there on; or, before that, at the next point, which it leaves with [`NEXT_POINT`].
        DieAfter(u64),
        /// The same, by this way.
        DieBehind(Way),
        /// The same behind its so-manieth change of what others can see, from 1.
        DieAtChange(u64),
        /// Nothing: from there on it leaves a record of what it does, to its end.
        Survey,
    }

    impl Planned {
        fn is_counted(self) -> bool {
            !matches!(self, Self::Act(_))
        }

        fn begin(self) {
            match self {
                Self::Act(act) => act.perform(),
                Self::DieAfter(instructions) => die_after(instructions),
                Self::DieBehind(way) => die_behind(way),
                Self::DieAtChange(changes) => die_at_change(changes),
                Self::Survey => survey(),
            }
        }
    }

    /// What a process leaves with that has come to the next point.
    pub const NEXT_POINT: i32 = 4;

    static PLAN: OnceLock<CrashPlan> = OnceLock::new();
    static HITS: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        /// Whether this is the thread that counts its instructions; what others do meanwhile is not in its sections.
        static COUNTS: Cell<bool> = const { Cell::new(false) };
    }

    /// Plans the end of this process. Only the first plan counts; a forked child keeps it, and its count of hits.
    ///
    /// A plan to die after some instructions at hit 0 begins at once.
    pub fn plan_crash(plan: CrashPlan) {
        // A second plan is no error: one child has one end.
        let _ = PLAN.set(plan);
        COUNTS.set(true);
        if plan.at_hit == 0 && plan.planned.is_counted() {
            plan.planned.begin();
        }
    }

    /// Does `act` without counting its instructions, in a process that counts its own: what cannot be interrupted behind each of them.
    ///
    /// Starting a thread is such a thing, for it blocks every signal meanwhile.
    pub fn uncounted<R>(act: impl FnOnce() -> R) -> R {
        let (counting, pause) = (stop_counting(), pause_deeds());
        let result = act();
        resume_deeds(pause);
        count_on(counting);
        result
    }

    /// A point was reached; called by [`crash_point!`](crate::crash_point).
    #[inline]
    pub fn hit(name: &'static str) {
        fork_if_told();
        let Some(plan) = PLAN.get() else { return };
        if plan.planned.is_counted() && !COUNTS.get() {
            return;
        }
        let hits = HITS.fetch_add(1, Ordering::Relaxed) + 1;
        if plan.planned == Planned::Survey && hits > plan.at_hit {
            meets_point();
            return;
        }
        if hits == plan.at_hit {
            leave_name(plan, name);
            plan.planned.begin();
        } else if hits == plan.at_hit + 1 && plan.planned.is_counted() {
            leave(NEXT_POINT);
        }
    }

    fn leave_name(plan: &CrashPlan, name: &str) {
        for (cell, bytes) in plan.name_goes_to.iter().zip(name.as_bytes().chunks(8)) {
            let word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            cell.store(word, Ordering::Relaxed);
        }
    }
}
