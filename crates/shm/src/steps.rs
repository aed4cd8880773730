//! The points between two stores at which a process may die: named crash points in real processes, steps of the actor in models.

/// A point at which a test may end the process, and a model its actor. Names are `structure.what_has_just_been_done`.
#[cfg(not(loom))]
macro_rules! step {
    ($name:literal) => {
        crosstie_sys::crash_point!($name)
    };
}

/// A point at which a test may end the process, and a model its actor. Names are `structure.what_has_just_been_done`.
#[cfg(loom)]
macro_rules! step {
    ($name:literal) => {
        $crate::steps::pass()
    };
}

pub(crate) use step;

#[cfg(loom)]
pub(crate) use modelled::{die_at, pass};

/// Death in a model: the actor's thread unwinds at the chosen point and does nothing more. What it stored stays.
#[cfg(loom)]
mod modelled {
    use std::{
        cell::Cell,
        panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    };

    #[cfg(not(shuttle))]
    use loom::thread_local;
    #[cfg(shuttle)]
    use shuttle::thread_local;

    struct Died;

    thread_local! {
        static POINTS_LEFT: Cell<u32> = Cell::new(u32::MAX);
    }

    /// Ends the actor if this is the point that it dies at.
    pub(crate) fn pass() {
        let left = POINTS_LEFT.with(Cell::get);
        if left == 0 {
            resume_unwind(Box::new(Died));
        }
        POINTS_LEFT.with(|cell| cell.set(left.saturating_sub(u32::from(left != u32::MAX))));
    }

    /// Runs `actor`, which dies when it has passed `points` points; `None` if it died.
    pub(crate) fn die_at<R>(points: u32, actor: impl FnOnce() -> R) -> Option<R> {
        POINTS_LEFT.with(|cell| cell.set(points));
        let outcome = catch_unwind(AssertUnwindSafe(actor));
        POINTS_LEFT.with(|cell| cell.set(u32::MAX));
        match outcome {
            Ok(result) => Some(result),
            Err(payload) if payload.is::<Died>() => None,
            Err(payload) => resume_unwind(payload),
        }
    }
}
