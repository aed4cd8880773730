//! What is known after a run.

use std::collections::BTreeMap;

use crate::{log::Log, verdict::Violation};

/// The outcome of one run.
#[derive(Debug)]
pub struct Report {
    /// The seed that replays it.
    pub seed: u64,
    /// Over everything that happened: a replay has the same.
    pub hash: u64,
    /// The rules that were broken, first things first; 50 at most.
    pub violations: Vec<Violation>,
    /// How much of what there was, by name.
    pub counts: BTreeMap<String, u64>,
    /// What happened.
    pub log: Log,
}
