//! Kills processes in the middle of what they do with a shared structure, and looks at what is left.
//!
//! A [`Structure`] is something that several processes share. The harness sets one up, has processes work on it, kills some, and asks
//! an oracle whether what is left is whole. Every decision comes from a seed, and a failure prints the command that makes the same decisions.
//!
//! | kind | who meets an end, and where |
//! | --- | --- |
//! | [`random`] | one of several, at a random instant; killed; or stopped, left, forked, replaced by another program, or unmapped |
//! | [`points`] | each of several, at the k-th named crash point that it meets |
//! | [`namespaces`] | one of several, each of which is process 1 of its own PID namespace |
//! | [`steps`] | one, at *every* instruction boundary of its work; nested: behind every change that others can see, and the one who recovers from that, too |
//!
//! The program that runs this must have one thread: it forks without `exec`.

mod board;
mod clock;
mod course;
mod crew;
mod descriptors;
mod patience;
mod place;
mod plan;
mod points;
pub mod posix;
mod random;
mod report;
pub mod shared;
mod stepped;
mod steps;
mod structure;

pub use {
    board::{Board, Fault, Seat},
    clock::now_ns,
    plan::{Control, Kind, controls, structures},
    points::points,
    random::{Ends, PER_TRIAL, namespaces, random},
    report::Report,
    steps::{Nesting, steps},
    structure::{Options, Structure, Tally, Told, Victim},
};
