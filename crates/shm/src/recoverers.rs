//! Everything that is put in order when a participant is gone, in this order.
//!
//! A recoverer belongs to a structure: it gives back what the participant held. All of them run for every segment; each looks at the header
//! to see if there is anything of its own. So every process that can open a segment can recover it, whether or not it uses the structure.
//!
//! A recoverer runs under the lock of the dead one's byte, thus alone in the world; it may be begun anew by somebody else if its process
//! dies, so each of its steps must give the same when done twice. It does not wait, and it does not join.
//!
//! It stands in a file that knows segments and words, never participants, because those know this list.

use crate::{death::Death, error::Result, latest, lock, pool};

type Recoverer = fn(&Death<'_>) -> Result<()>;

const ALL: &[Recoverer] = &[lock::recover_locks, latest::recover, pool::recover, withdraw_waits];

/// Runs all of them.
pub(crate) fn run(death: &Death<'_>) -> Result<()> {
    ALL.iter().try_for_each(|recover| recover(death))
}

/// It waits for nothing any more, and nobody needs to ring for it.
fn withdraw_waits(death: &Death<'_>) -> Result<()> {
    use crate::sync::Ordering;

    if let Some(waits) = death.segment.waits(death.gone.slot) {
        waits.clear();
    }
    if let Some(slot) = death.segment.participant(death.gone.slot) {
        slot.waits_for.store(0, Ordering::Relaxed);
        slot.bell.store(0, Ordering::Relaxed);
        for word in &slot.ready {
            word.store(0, Ordering::Relaxed);
        }
    }
    Ok(())
}
