//! A connector that tries again, with pauses that grow and differ.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crosstie_core::{Error, Kind, Randomness, Seeded};

use crate::{
    capabilities::Capabilities,
    connection::Connection,
    connector::{Attempt, Connector, Progress},
};

/// How long to pause between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt; every pause after it is twice as long.
    pub first: Duration,
    /// No pause is longer. A connection that lasted this long begins anew with short pauses.
    pub longest: Duration,
    /// How often it is tried for one connection; `None` leaves it to the time limit alone.
    pub attempts: Option<u32>,
}

impl Default for Backoff {
    /// 20 ms to 2 s, as often as time allows.
    fn default() -> Self {
        Self { first: Duration::from_millis(20), longest: Duration::from_secs(2), attempts: None }
    }
}

impl Backoff {
    /// The pause after so many failures: between half of it and all of it, so that those who lost the same listener do not come back together.
    fn pause(&self, failures: u32, random: &mut dyn Randomness) -> Duration {
        let doubled = self.first.checked_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let full = doubled.unwrap_or(self.longest).min(self.longest);
        let half = full / 2;
        half + Duration::from_nanos(random.below(u64::try_from((full - half).as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A connector that tries again while nobody is there. What was on the way when a connection was lost stays lost: only a protocol above knows what
/// that was.
///
/// Connections that end at once count as failures, so that a listener which turns everybody away is not stormed.
pub struct Reconnecting {
    inner: Arc<Inner>,
}

struct Inner {
    connector: Box<dyn Connector>,
    backoff: Backoff,
    state: Mutex<State>,
}

struct State {
    random: Box<dyn Randomness>,
    /// Failures in a row, and when the last success was.
    failures: u32,
    connected: Option<Instant>,
}

impl Reconnecting {
    /// Tries what `connector` connects to again and again.
    pub fn new(connector: Box<dyn Connector>, backoff: Backoff) -> Self {
        Self::with_randomness(connector, backoff, Box::new(Seeded::new(RandomState::new().hash_one(0))))
    }

    /// The same with a source of chance of the caller's.
    pub fn with_randomness(connector: Box<dyn Connector>, backoff: Backoff, random: Box<dyn Randomness>) -> Self {
        let state = Mutex::new(State { random, failures: 0, connected: None });
        Self { inner: Arc::new(Inner { connector, backoff, state }) }
    }

    /// Connects within `timeout`, trying again meanwhile. Blocks so long.
    ///
    /// # Errors
    ///
    /// [`Kind::Timeout`]; the last one where [`Backoff::attempts`] ran out; at once, one that trying again does not heal.
    pub fn connect(&self, timeout: Duration) -> Result<Connection, Error> {
        let connector: &dyn Connector = self;
        connector.connect(timeout)
    }

    /// The same on the current tokio runtime. Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub async fn connect_async(&self, timeout: Duration) -> Result<Connection, Error> {
        let connector: &dyn Connector = self;
        connector.connect_async(timeout).await
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a failure, and says how long to pause.
    fn failed(&self) -> Duration {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let State { random, failures, .. } = &mut *state;
        self.backoff.pause(*failures, &mut **random)
    }
}

impl Connector for Reconnecting {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        let mut state = self.inner.state();
        let pause = match state.connected.take().map(|at| at.elapsed()) {
            Some(lasted) if lasted < self.inner.backoff.longest => {
                drop(state);
                Some(self.inner.failed())
            }
            _ => {
                state.failures = 0;
                None
            }
        };
        Ok(Box::new(Trying { inner: Arc::clone(&self.inner), attempt: None, pause, tried: 0 }))
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.inner.connector.capabilities()
    }
}

struct Trying {
    inner: Arc<Inner>,
    attempt: Option<Box<dyn Attempt>>,
    pause: Option<Duration>,
    tried: u32,
}

impl Trying {
    fn step(&mut self) -> Result<Progress, Error> {
        let attempt = match &mut self.attempt {
            Some(attempt) => attempt,
            None => {
                self.tried += 1;
                self.attempt.insert(self.inner.connector.begin()?)
            }
        };
        attempt.advance()
    }
}

impl Attempt for Trying {
    fn advance(&mut self) -> Result<Progress, Error> {
        if let Some(pause) = self.pause.take() {
            return Ok(Progress::Pause(pause));
        }
        match self.step() {
            Ok(Progress::Done(connection)) => {
                self.inner.state().connected = Some(Instant::now());
                Ok(Progress::Done(connection))
            }
            Err(error) if may_heal(&error) && self.inner.backoff.attempts.is_none_or(|most| self.tried < most) => {
                self.attempt = None;
                Ok(Progress::Pause(self.inner.failed()))
            }
            other => other,
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.attempt.as_ref()?.descriptor()
    }
}

/// Whether the same attempt may go better later: not if it is the caller who has to change something.
fn may_heal(error: &Error) -> bool {
    !matches!(error.kind(), Kind::InvalidInput | Kind::Unsupported | Kind::Denied | Kind::Closed | Kind::Bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_differ() {
        let backoff = Backoff { first: Duration::from_millis(10), longest: Duration::from_millis(100), attempts: None };
        let mut random = Seeded::new(7);
        let pauses: Vec<_> = (1..40).map(|failures| backoff.pause(failures, &mut random)).collect();
        for (pause, full) in pauses.iter().zip([10, 20, 40, 80, 100, 100]) {
            assert!((full / 2..=full).contains(&u64::try_from(pause.as_millis()).unwrap()), "{pauses:?}");
        }
        assert!(pauses.iter().all(|pause| *pause <= backoff.longest));
        assert!(pauses[10..].windows(2).any(|two| two[0] != two[1]), "those who wait together do not come together");
    }
}
