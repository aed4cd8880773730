//! The conformance suite for datagrams: one set of tests over every scheme, chosen by what the scheme says it can do.
//!
//! As with streams, a program that runs it is its own peer: [`play_if_asked`] comes first in its `main`.

mod faults;
mod numbered;
mod peer;
mod play;
mod subject;
mod suite;

pub use self::{
    play::play_if_asked,
    suite::{Sizes, names, run, run_far},
};
