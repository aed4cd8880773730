//! The conformance suite for streams of bytes: one set of tests over every scheme, chosen by what the scheme says it can do.
//!
//! A program that runs it is its own peer: [`play_if_asked`] comes first in its `main`, and the suite starts the program again to have another
//! process at the other end, one that can be killed.

mod far;
mod faults;
mod pattern;
mod peer;
mod play;
mod subject;
mod suite;

pub(crate) use self::pattern::Pattern;
pub use self::{
    far::run_far,
    play::play_if_asked,
    suite::{Sizes, names, run},
};
