//! Faults on purpose: which frames are lost, doubled, overtaken, held back or cut, decided by a seed and nothing else.
//!
//! A [`Plan`] decides, without a clock, without state and without I/O: each decision is a function of the seed, the number of the connection, the
//! direction and the number of the frame. What was done is written down as [`Taken`], one line each, and those lines make a plan that does the
//! same again ([`Plan::replay`]). What a frame and a connection's number are is told in `docs/endpoints.md`.

mod plan;
mod taken;

pub use self::{
    plan::{Decision, Plan},
    taken::{Direction, Fault, Taken, TakenError, parse_log},
};
