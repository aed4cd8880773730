//! Where in shared memory the accounts are: a segment among the user's own, called as the demo's directory is.

use std::path::Path;

use crosstie::shm::{Directory, Error, SegmentName, remove};

/// The directory of segments, and the name in it.
pub(super) struct Place {
    pub(super) directory: Directory,
    pub(super) name: SegmentName,
}

impl Place {
    /// The place that belongs to the demo's directory `scratch`.
    pub(super) fn of(scratch: &Path) -> Result<Self, Error> {
        let name = scratch.file_name().unwrap_or_default().to_string_lossy().parse()?;
        Ok(Self { directory: Directory::of_user()?, name })
    }

    /// Removes the segment of a demo whose supervisor is gone. False if some part of it is still ending.
    pub(super) fn clear(scratch: &Path) -> bool {
        let cleared = Self::of(scratch).and_then(|place| remove(&place.directory, &place.name, false));
        matches!(cleared, Ok(_) | Err(Error::NotFound { .. }))
    }
}

/// The supervisor's: when it goes, so does the segment, whoever has it.
pub(super) struct Owned(pub(super) Place);

impl Drop for Owned {
    fn drop(&mut self) {
        // What cannot be removed is left to the next demo, or to `crosstie shm gc`.
        let _ = remove(&self.0.directory, &self.0.name, true);
    }
}
