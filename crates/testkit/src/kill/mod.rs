//! Kills processes in the middle of what they do with a shared structure, and looks at what is left.
//!
//! A [`Structure`] is something that several processes share. The harness sets one up, has processes work on it, kills some, and asks
//! an oracle whether what is left is whole. Every decision comes from a seed, and a failure prints the command that makes the same decisions.
//!
//! | kind | who is killed, and where |
//! | --- | --- |
//! | [`random`] | one of several, at a random instant; now and then stopped, left, forked or replaced by another program instead |
//! | [`points`] | one of several, at the k-th named crash point (`crash_point!`) |
//! | [`steps`] | one alone, at *every* instruction boundary of an operation; nested: the one who recovers, too |
//! | [`namespaces`] | one of two, each of which is process 1 of its own PID namespace |
//!
//! The program that runs this must have one thread: it forks without `exec`.

mod board;
mod clock;
mod episode;
mod fresh;
mod namespaces;
mod place;
mod points;
pub mod posix;
mod random;
mod report;
mod steps;
mod structure;

pub use {
    board::{Board, Fault, Seat},
    clock::now_ns,
    namespaces::namespaces,
    points::points,
    random::random,
    report::Report,
    steps::{Nesting, steps},
    structure::{Options, Structure, Tally, Told, Victim},
};
