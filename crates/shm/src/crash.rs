//! Named points at which a test may end the process, to see what the others make of what it left.
//!
//! They exist with the feature `crash-points` alone, and then do something only if `CROSSTIE_CRASH_AT` names one: `NAME` or `NAME:N` for
//! the N-th time it is passed, counted from 1. The process then kills itself with SIGKILL: no destructor, no handler.

/// Ends the process here if the environment says so.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub(crate) const fn point(_name: &str) {}

/// Ends the process here if the environment says so.
#[cfg(feature = "crash-points")]
pub(crate) fn point(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static CHOSEN: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let chosen = std::env::var("CROSSTIE_CRASH_AT").ok()?;
        match chosen.rsplit_once(':') {
            Some((name, nth)) => Some((name.to_owned(), nth.parse().expect("the N of NAME:N is a number"))),
            None => Some((chosen, 1)),
        }
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);
    if let Some((chosen, nth)) = &*CHOSEN
        && chosen == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth
    {
        let this = crosstie_sys::ProcessHandle::open(std::process::id());
        this.ok().flatten().expect("this process exists").kill().expect("a process may kill itself");
        // The signal may take a moment to arrive.
        loop {
            std::thread::park();
        }
    }
}
