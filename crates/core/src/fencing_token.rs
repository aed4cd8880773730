//! The number of an acquisition, by which the owner of a resource tells a late writer from the current one.

use std::fmt;

/// The number of an acquisition of a lock or a lease. It only grows, so what a holder writes late, after somebody else got the lock, is
/// known by its smaller number and can be refused.
///
/// Numbers of different locks say nothing about each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

impl FencingToken {
    /// The token with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
