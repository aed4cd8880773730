//! One direction of a simulated connection: bytes arrive late, in other chunks, in order, or not at all.

use std::{collections::VecDeque, time::Duration};

use crosstie_core::{Mono, Randomness};

/// How a pipe treats what is written to it.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The most bytes on their way; a write beyond that is cut short.
    pub capacity: usize,
    /// The longest chunk.
    pub longest_chunk: usize,
    /// The longest delay of a chunk.
    pub longest_delay: Duration,
}

/// The connection was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// A bounded byte pipe in virtual time.
#[derive(Debug)]
pub struct Pipe {
    weather: Weather,
    chunks: VecDeque<(Mono, Vec<u8>)>,
    held: usize,
    is_cut: bool,
}

impl Pipe {
    /// An empty pipe.
    pub const fn new(weather: Weather) -> Self {
        Self { weather, chunks: VecDeque::new(), held: 0, is_cut: false }
    }

    /// Takes as many bytes as fit and says how many; zero means to try again after a read.
    ///
    /// # Errors
    /// [`Lost`] after a cut.
    pub fn write(&mut self, bytes: &[u8], now: Mono, random: &mut dyn Randomness) -> Result<usize, Lost> {
        if self.is_cut {
            return Err(Lost);
        }
        let taken = bytes.len().min(self.weather.capacity - self.held);
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let most = rest.len().min(self.weather.longest_chunk.max(1));
            let (chunk, after) = rest.split_at(1 + random.below(most as u64) as usize);
            let nanos = self.weather.longest_delay.as_nanos() as u64;
            let at = now + Duration::from_nanos(random.below(nanos));
            // A stream keeps its order: no chunk arrives before the one in front of it.
            let at = self.chunks.back().map_or(at, |(last, _)| at.max(*last));
            self.chunks.push_back((at, chunk.to_vec()));
            rest = after;
        }
        self.held += taken;
        Ok(taken)
    }

    /// When the next bytes arrive, if any are on their way.
    pub fn next_arrival(&self) -> Option<Mono> {
        self.chunks.front().map(|(at, _)| *at)
    }

    /// The next chunk, if it has arrived.
    ///
    /// # Errors
    /// [`Lost`] after a cut.
    pub fn read(&mut self, now: Mono) -> Result<Option<Vec<u8>>, Lost> {
        if self.is_cut {
            return Err(Lost);
        }
        if self.next_arrival().is_none_or(|at| at > now) {
            return Ok(None);
        }
        let chunk = self.chunks.pop_front().map(|(_, bytes)| bytes);
        self.held -= chunk.as_ref().map_or(0, Vec::len);
        Ok(chunk)
    }

    /// Cuts the pipe; what was on its way is lost.
    pub fn cut(&mut self) {
        self.is_cut = true;
        self.chunks.clear();
        self.held = 0;
    }

    /// How many bytes are on their way.
    pub const fn held(&self) -> usize {
        self.held
    }
}
