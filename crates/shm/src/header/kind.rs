//! What a segment is for, what one must know to use it, and how it stands.

use std::fmt;

/// What the data of a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A value, with two copies and a lock.
    Region,
    /// Messages from one sender to one receiver.
    Ring,
    /// Buffers that are loaned.
    Pool,
    /// One value that is always replaced whole.
    Latest,
    /// Locks and no data.
    Locks,
    /// A large value with an undo journal.
    TxRegion,
    /// A kind that this build does not know.
    Other(u32),
}

impl Kind {
    /// The kind that a number stands for.
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Region,
            2 => Self::Ring,
            3 => Self::Pool,
            4 => Self::Latest,
            5 => Self::Locks,
            6 => Self::TxRegion,
            other => Self::Other(other),
        }
    }

    /// Its number in the header.
    pub const fn number(self) -> u32 {
        match self {
            Self::Region => 1,
            Self::Ring => 2,
            Self::Pool => 3,
            Self::Latest => 4,
            Self::Locks => 5,
            Self::TxRegion => 6,
            Self::Other(other) => other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region => f.write_str("region"),
            Self::Ring => f.write_str("ring"),
            Self::Pool => f.write_str("pool"),
            Self::Latest => f.write_str("latest"),
            Self::Locks => f.write_str("locks"),
            Self::TxRegion => f.write_str("transactional region"),
            Self::Other(number) => write!(f, "kind {number}"),
        }
    }
}

/// Bits for what later builds add: whoever does not know a bit may or may not go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Who does not know all of these must not look at the segment.
    pub must: u64,
    /// Who does not know all of these must not write to it.
    pub must_to_write: u64,
    /// These may be ignored.
    pub may_ignore: u64,
}

impl Features {
    /// What this build knows.
    pub const KNOWN: Self = Self { must: 0, must_to_write: 0, may_ignore: 0 };
}

/// How a segment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not published yet. Nobody but its maker sees it so.
    Building,
    /// In use.
    Ready,
    /// Nobody should use it any more.
    Retired {
        /// The generation to use instead; `None` if the segment was removed.
        by: Option<u32>,
    },
    /// Somebody found it damaged.
    Poisoned,
}

impl State {
    /// The state that the two numbers stand for; a number that stands for none is read as damage.
    pub const fn from_numbers(state: u32, replaced_by: u32) -> Self {
        match state {
            0 => Self::Building,
            1 => Self::Ready,
            2 if replaced_by == 0 => Self::Retired { by: None },
            2 => Self::Retired { by: Some(replaced_by) },
            _ => Self::Poisoned,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Building => f.write_str("building"),
            Self::Ready => f.write_str("ready"),
            Self::Retired { by: Some(by) } => write!(f, "retired by generation {by}"),
            Self::Retired { by: None } => f.write_str("removed"),
            Self::Poisoned => f.write_str("poisoned"),
        }
    }
}
