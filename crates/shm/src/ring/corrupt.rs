//! Damage found in a ring: a number that no sender or receiver of ours could have stored.

use std::fmt;

/// A number in shared memory that cannot be right: whoever may map the segment has damaged it.
///
/// Nothing was read or written on the strength of it. The ring is of no more use and should be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt {
    what: &'static str,
    found: u64,
    other: u64,
}

impl Corrupt {
    #[inline]
    pub(crate) fn unless(is_right: bool, what: &'static str, found: u64, other: u64) -> Result<(), Self> {
        if is_right { Ok(()) } else { Err(Self { what, found, other }) }
    }
}

impl Corrupt {
    pub(crate) const fn of(what: &'static str, found: u64, other: u64) -> Self {
        Self { what, found, other }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, found, other } = self;
        write!(f, "{what} that can be, came {found} beside {other}; make it anew")
    }
}

impl std::error::Error for Corrupt {}
