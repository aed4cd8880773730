//! What is done about the locks of a participant that is gone.

use super::{
    plan::{LockKind, Parts},
    protocol::{Holder, recover, recover_count},
};
use crate::{death::Death, error::Result};

/// Frees every lock that it held, undoes what it had begun, takes back what it had counted.
///
/// One lock that cannot be understood does not keep the others from being freed; it is told at the end.
pub(crate) fn recover_locks(death: &Death<'_>) -> Result<()> {
    let gone = death.gone;
    let dead = Holder::new(gone.slot, gone.generation);
    let mut outcome = Ok(());
    for index in 0..death.segment.header().locks {
        match Parts::of(death.segment, index) {
            Ok(parts) if parts.kind == LockKind::Unused => {}
            Ok(parts) => {
                // Within the mutex of a semaphore there is nothing to lose yet.
                recover(&parts.cell, dead, parts.undo(), parts.kind != LockKind::Semaphore);
                if let Some(count) = parts.counts().get(gone.slot as usize - 1) {
                    recover_count(&parts.cell, count, gone.generation);
                }
            }
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}
