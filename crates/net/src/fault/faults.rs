//! What programs say about faults, and what numbers their connections.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crosstie_core::{
    Endpoint, Error, FaultSpec, Kind, Probability,
    fault::{Plan, Taken},
};

use super::{frames::HOLD, line::FaultLine, log::FaultLog};

/// Faults that a program makes on purpose, at endpoints that it chooses itself.
///
/// [`Faults::on`] puts them into an endpoint, for whatever opens it. Where their log is wanted, `listen`, `connector`, `send_datagrams` and
/// `receive_datagrams` open an endpoint with them, and `over` takes a connection that is there; all that is opened by one `Faults` (clones are the same)
/// counts its connections together and has one log.
///
/// ```
/// use std::{io::{Read, Write}, time::Duration};
/// use crosstie_net::{Faults, listen};
///
/// let listener = listen(&"mem:shaky".parse()?)?;
/// let faults = Faults::seeded(42).cut(0.5);
/// let mut near = faults.connector(&"mem:shaky".parse()?)?.connect(Duration::from_secs(1))?;
/// let mut far = listener.accept(Duration::from_secs(1))?;
///
/// let error = near.write_all(&[7; 60_000]).expect_err("one block of two is cut");
/// assert!(error.to_string().contains("cut on purpose by fault="));
/// let mut came = Vec::new();
/// far.read_to_end(&mut came)?;
/// assert!(came.len() < 60_000);
/// assert_eq!(faults.log().taken().len(), 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Faults {
    spec: FaultSpec,
    replay: Option<Vec<Taken>>,
    hold: Duration,
    log: FaultLog,
    connections: Arc<AtomicU64>,
}

/// On what faults are to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A stream of bytes.
    Bytes,
    /// A stream of frames.
    Frames,
    /// Datagrams.
    Datagrams,
}

impl Faults {
    /// No faults yet, but where they will come from.
    pub fn seeded(seed: u64) -> Self {
        let mut spec = FaultSpec::default();
        spec.seed = seed;
        Self::of(spec)
    }

    /// Those that `fault=` of an endpoint asks for.
    pub fn of(spec: FaultSpec) -> Self {
        Self { spec, replay: None, hold: HOLD, log: FaultLog::default(), connections: Arc::default() }
    }

    /// Exactly those that were taken before, and nothing else, whatever is added.
    ///
    /// ```
    /// use crosstie_core::fault::parse_log;
    ///
    /// let faults = crosstie_net::Faults::replay(parse_log("1 out 3 cut 17")?);
    /// # Ok::<_, crosstie_core::fault::TakenError>(())
    /// ```
    pub fn replay(log: impl IntoIterator<Item = Taken>) -> Self {
        Self { replay: Some(log.into_iter().collect()), ..Self::seeded(0) }
    }

    /// This share of the frames vanishes.
    ///
    /// # Panics
    ///
    /// Unless the share is from 0 to 1, as with all shares here.
    #[must_use]
    pub fn drop(mut self, share: f64) -> Self {
        self.spec.drop = probability(share);
        self
    }

    /// This share of the frames comes twice.
    #[must_use]
    pub fn dup(mut self, share: f64) -> Self {
        self.spec.dup = probability(share);
        self
    }

    /// This share of the frames is overtaken by the next one.
    #[must_use]
    pub fn reorder(mut self, share: f64) -> Self {
        self.spec.reorder = probability(share);
        self
    }

    /// In the middle of this share of the frames the connection is cut.
    #[must_use]
    pub fn cut(mut self, share: f64) -> Self {
        self.spec.cut = probability(share);
        self
    }

    /// In the middle of this share of the frames a read or write ends.
    #[must_use]
    pub fn short(mut self, share: f64) -> Self {
        self.spec.short = probability(share);
        self
    }

    /// Every frame is held back so long, at most [`FaultSpec::MAX_DELAY`].
    ///
    /// # Panics
    ///
    /// If the range is empty or its end longer.
    #[must_use]
    pub fn delay(mut self, range: RangeInclusive<Duration>) -> Self {
        assert!(!range.is_empty() && *range.end() <= FaultSpec::MAX_DELAY, "expected a delay of at most 60 s");
        self.spec.delay = Some(range);
        self
    }

    /// How long a frame waits for the one that is to overtake it before it goes on as if nothing was; 1 second unless set.
    #[must_use]
    pub const fn hold(mut self, time: Duration) -> Self {
        self.hold = time;
        self
    }

    /// The endpoint with these faults, which are allowed there. A replay and [`Self::hold`] have no place in an endpoint.
    ///
    /// An endpoint that would not have been opened without them is not opened with them either.
    #[must_use]
    pub fn on(&self, endpoint: Endpoint) -> Endpoint {
        let is_open = endpoint.may_be_opened();
        let mut options = endpoint.options().clone();
        options.fault = Some(self.spec.clone());
        let endpoint = endpoint.with_options(options).allow_faults();
        if is_open { endpoint.trusted() } else { endpoint }
    }

    /// What was done so far.
    pub const fn log(&self) -> &FaultLog {
        &self.log
    }

    fn plan(&self) -> Plan {
        match &self.replay {
            Some(log) => Plan::replay(log.iter().copied()),
            None => Plan::seeded(self.spec.clone()),
        }
    }

    /// Checks that all of them can be made there, and begins the log.
    pub(crate) fn begin(&self, scope: Scope, at: &dyn std::fmt::Display) -> Result<(), Error> {
        let (refused, what): (&[&'static str], _) = match scope {
            Scope::Bytes => (
                &["drop", "dup", "reorder"],
                "a stream of bytes, which has no frames to lose: it takes delay, cut and short; a channel and datagrams take",
            ),
            Scope::Frames => (&["short"], "frames, which come whole: a bare stream of bytes takes"),
            Scope::Datagrams => {
                (&["cut", "short"], "datagrams, which are whole and have no connection: a stream of bytes takes")
            }
        };
        if let Some(name) = self.plan().first_of(refused) {
            return Err(Error::new(
                Kind::Unsupported,
                format!("'{at}': the fault '{name}' is not made on {what} '{name}'"),
            ));
        }
        let title = match &self.replay {
            Some(log) => format!("a replay of {} faults at {at}", log.len()),
            None => format!("fault={} at {at}", self.spec),
        };
        self.log.begin(title)
    }

    /// Those of the next connection.
    pub(crate) fn line(&self) -> FaultLine {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        FaultLine::new(Arc::new(self.plan()), connection, self.log.clone(), self.hold)
    }
}

fn probability(share: f64) -> Probability {
    Probability::new(share).expect("a share is from 0 to 1")
}
