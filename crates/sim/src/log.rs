//! What happened: a running hash over every line, and the last lines themselves.

use std::{collections::VecDeque, fmt};

use crosstie_core::Mono;

/// How many lines are kept unless told otherwise; the hash covers all.
const KEPT: usize = 200;

/// A log of one run. Equal seeds give equal hashes.
#[derive(Debug)]
pub struct Log {
    hash: u64,
    most: usize,
    lines: VecDeque<String>,
}

impl Log {
    /// An empty log.
    pub const fn new() -> Self {
        Self::keeping(KEPT)
    }

    /// An empty log that keeps the last `lines` lines.
    pub const fn keeping(lines: usize) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, most: lines, lines: VecDeque::new() }
    }

    /// Notes one line.
    pub fn note(&mut self, at: Mono, what: impl fmt::Display) {
        let line = format!("{} {what}", at.as_nanos());
        // FNV-1a: it is the same on every machine and in every version of Rust.
        for byte in line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.lines.push_back(line);
        if self.lines.len() > self.most {
            self.lines.pop_front();
        }
    }

    /// The hash over all lines so far.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines, oldest first; 200 at most unless told otherwise.
    pub fn tail(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}
