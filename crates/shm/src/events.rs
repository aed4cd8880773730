//! The last acts of each participant: written as they happen, read by whoever wants to know what a dead process did last.

use std::fmt;

use crosstie_core::Mono;

use crate::{layout::EVENTS_KEPT, segment::Segment};

macro_rules! acts {
    ($($number:literal $name:ident $text:literal)*) => {
        /// What a participant did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Act {
            $(#[doc = concat!("It ", $text, ".")] $name,)*
            /// Something that this build has no word for.
            Other(u16),
        }

        impl Act {
            /// Its number in the segment.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The act that a number stands for.
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(_) => "did something that this build does not know",
                }
            }
        }
    };
}

acts! {
    1 Joined "joined"
    2 Left "left"
    3 ReapBegan "began to reap a dead participant"
    4 Reaped "reaped a dead participant"
    5 Poisoned "found the segment damaged"
    16 Waited "began to wait for a lock"
    17 Locked "got a lock"
    18 Unlocked "released a lock"
    19 Committed "committed a write"
    20 RolledBack "rolled back a write of its own"
    21 Recovered "got a lock whose holder had died"
    22 TimedOut "gave up waiting"
    32 Sent "sent a message"
    33 Received "received a message"
    34 Full "found no room"
    35 Empty "found nothing"
    48 Loaned "took a buffer"
    49 Returned "gave a buffer back"
    50 Published "published a value"
    60 Noted "noted something of its own"
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// One act, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When, on the machine's monotonic clock.
    pub time: Mono,
    /// Counted from 1 in each slot, on and on through its participants.
    pub sequence: u32,
    /// What.
    pub act: Act,
    /// To which lock or part.
    pub object: u16,
    /// Two numbers whose meaning depends on the act.
    pub detail: [u64; 2],
}

/// Writes an act of the participant in `slot`.
pub(crate) fn record(segment: &Segment, slot: u32, act: Act, object: u16, detail: [u64; 2]) {
    use crate::sync::Ordering;

    let (Some(place), Some(row)) = (segment.participant(slot), segment.acts(slot)) else { return };
    // Relaxed: the number alone is shared, among the threads of one process.
    let written = place.events.fetch_add(1, Ordering::Relaxed);
    #[expect(clippy::cast_possible_truncation, reason = "the sequence has 32 bits and wraps; the index is below 256")]
    let (sequence, index) = ((written as u32).wrapping_add(1), (written % EVENTS_KEPT as u64) as usize);
    row.events[index].write(crosstie_sys::monotonic_nanos(), act.number(), object, sequence, detail);
}

/// The last acts in `slot`, oldest first. One that is being written, or was when its writer died, is left out.
pub(crate) fn read(segment: &Segment, slot: u32) -> Vec<Happened> {
    let Some(row) = segment.acts(slot) else { return Vec::new() };
    let mut found: Vec<_> = row
        .events
        .iter()
        .filter_map(|event| event.read())
        .map(|(time, act, object, sequence, detail)| Happened {
            time: Mono::from_nanos(time),
            sequence,
            act: Act::from_number(act),
            object,
            detail,
        })
        .collect();
    found.sort_by_key(|event| (event.time, event.sequence));
    found
}

impl Segment {
    /// The last 256 acts of whoever was in `slot`, oldest first, dead or alive. None if there is no such slot.
    pub fn events(&self, slot: u32) -> Vec<Happened> {
        read(self, slot)
    }
}
