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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// What is written arrives.
    Open,
    /// The writer has ended it: whoever has read all finds the end at this time.
    Ended(Mono),
    /// Nothing arrives any more, and neither end knows.
    Severed,
    /// The end that is asked knows that nothing arrives any more.
    Cut,
}

/// A bounded byte pipe in virtual time.
#[derive(Debug)]
pub struct Pipe {
    weather: Weather,
    chunks: VecDeque<(Mono, Vec<u8>)>,
    held: usize,
    flow: Flow,
}

impl Pipe {
    /// An empty pipe.
    pub const fn new(weather: Weather) -> Self {
        Self { weather, chunks: VecDeque::new(), held: 0, flow: Flow::Open }
    }

    /// Takes as many bytes as fit and says how many; zero means to try again after a read. A severed pipe takes bytes, too, until it is
    /// full: the writer's system holds them and cannot know that nobody will ever confirm them.
    ///
    /// # Errors
    /// [`Lost`] after a cut, and after the end.
    pub fn write(&mut self, bytes: &[u8], now: Mono, random: &mut dyn Randomness) -> Result<usize, Lost> {
        if matches!(self.flow, Flow::Cut | Flow::Ended(_)) {
            return Err(Lost);
        }
        let taken = bytes.len().min(self.weather.capacity - self.held);
        self.held += taken;
        if self.flow == Flow::Severed {
            return Ok(taken);
        }
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let most = rest.len().min(self.weather.longest_chunk.max(1));
            let (chunk, after) = rest.split_at(1 + random.below(most as u64) as usize);
            self.chunks.push_back((self.arrival(now, random), chunk.to_vec()));
            rest = after;
        }
        Ok(taken)
    }

    /// A stream keeps its order: nothing arrives before what is in front of it.
    fn arrival(&self, now: Mono, random: &mut dyn Randomness) -> Mono {
        let nanos = self.weather.longest_delay.as_nanos() as u64;
        let at = now + Duration::from_nanos(random.below(nanos));
        self.chunks.back().map_or(at, |(last, _)| at.max(*last))
    }

    /// When the next bytes arrive, or the end, if any are on their way.
    pub fn next_arrival(&self) -> Option<Mono> {
        match (self.chunks.front(), self.flow) {
            (Some((at, _)), _) => Some(*at),
            (None, Flow::Ended(at)) => Some(at),
            _ => None,
        }
    }

    /// The next chunk, if it has arrived; an empty one is the end.
    ///
    /// # Errors
    /// [`Lost`] after a cut.
    pub fn read(&mut self, now: Mono) -> Result<Option<Vec<u8>>, Lost> {
        if self.flow == Flow::Cut {
            return Err(Lost);
        }
        if self.next_arrival().is_none_or(|at| at > now) {
            return Ok(None);
        }
        let chunk = self.chunks.pop_front().map_or_else(Vec::new, |(_, bytes)| bytes);
        self.held -= chunk.len();
        Ok(Some(chunk))
    }

    /// The writer ends it: what is on its way still arrives, then the end does.
    pub fn end(&mut self, now: Mono, random: &mut dyn Randomness) {
        if self.flow == Flow::Open {
            self.flow = Flow::Ended(self.arrival(now, random));
        }
    }

    /// Loses what is on its way and all that follows; neither end is told.
    pub fn sever(&mut self) {
        if self.flow != Flow::Cut {
            self.flow = Flow::Severed;
            self.chunks.clear();
        }
    }

    /// Cuts the pipe; what was on its way is lost, and whoever uses it is told.
    pub fn cut(&mut self) {
        self.flow = Flow::Cut;
        self.chunks.clear();
        self.held = 0;
    }

    /// How many bytes are on their way.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// True if a write would take something.
    pub const fn has_room(&self) -> bool {
        self.held < self.weather.capacity
    }
}
