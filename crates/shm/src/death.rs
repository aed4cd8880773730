//! What a recoverer is told: who is gone, and who puts things in order.

use crate::{layout::ParticipantId, segment::Segment};

/// The end of a participation.
#[derive(Debug)]
pub struct Death<'a> {
    /// In which segment.
    pub segment: &'a Segment,
    /// Whose.
    pub gone: ParticipantId,
    /// The slot of who recovers; 0 for a tool that takes no part. The same as that of `gone` if it left.
    pub by: u32,
}

impl Death<'_> {
    /// True if the participant left on purpose and puts its own things in order.
    pub const fn is_leaving(&self) -> bool {
        self.by == self.gone.slot
    }
}
