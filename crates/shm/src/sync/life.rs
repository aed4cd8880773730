//! Death as a step of a model: an actor stops before its n-th access to an atomic, and does nothing more.

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe},
};

#[cfg(not(shuttle))]
use loom::thread_local;
#[cfg(shuttle)]
use shuttle::thread_local;

thread_local! {
    /// Accesses that this thread of the model has left; `None` if it does not die.
    static LEFT: Cell<Option<u32>> = Cell::new(None);
}

/// What unwinds an actor that died. Nothing but the protocol runs in one, and nothing in the protocol acts when it is dropped, so an actor that
/// unwinds does nothing that a killed process would not do.
struct Died;

/// Runs an actor that dies before access number `after`, counted from 0. `None`: it died.
pub(crate) fn mortal<R>(after: u32, actor: impl FnOnce() -> R) -> Option<R> {
    LEFT.with(|left| left.set(Some(after)));
    let outcome = panic::catch_unwind(AssertUnwindSafe(actor));
    LEFT.with(|left| left.set(None));
    match outcome {
        Ok(result) => Some(result),
        Err(cause) if cause.is::<Died>() => None,
        Err(cause) => panic::resume_unwind(cause),
    }
}

/// One access: the last if the actor's time has come.
pub(super) fn step() {
    LEFT.with(|left| match left.get() {
        None => {}
        Some(0) => panic::resume_unwind(Box::new(Died)),
        Some(more) => left.set(Some(more - 1)),
    });
}
