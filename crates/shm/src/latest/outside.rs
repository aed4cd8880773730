//! The newest value as it is seen from outside: without a reader's row.

use super::shape::Parts;
use crate::{error::Result, segment::Segment, value_seen::ValueSeen};

/// The newest value in `segment`.
pub(crate) fn latest_value(segment: &Segment) -> Result<ValueSeen> {
    let parts = Parts::of(segment)?;
    // SAFETY: the segment is borrowed for as long as the cells are used.
    let cells = unsafe { parts.cells() };
    let mut words = Vec::new();
    let mut damage = None;
    let seen = ValueSeen::looked_for(|| match cells.look(&mut words) {
        Ok(Some(0)) => Some(ValueSeen::Nothing),
        Ok(version) => version.map(|version| ValueSeen::whole(&words, version)),
        Err(word) => {
            damage = Some(word);
            Some(ValueSeen::Nothing)
        }
    });
    match damage {
        None => Ok(seen),
        Some(word) => Err(segment.corrupt(format!("a word that names a buffer, came {word:#x}"))),
    }
}
