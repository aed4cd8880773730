//! Which kinds of trials there are, how many of each are usual, and which structures they are for.

use std::time::Duration;

use super::board::Fault;
use super::points::points;
use super::posix::{Held, Ledger, OneWord, Robust, Unrecovered};
use super::random::{Ends, namespaces, random};
use super::report::Report;
use super::shared::{Books, Buffers, Frames, Membership, Newest, Permits, Slots, Stream};
use super::steps::{Nesting, steps};
use super::structure::{Options, Structure};

/// A kind of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Killed at random instants.
    Random,
    /// Killed at named crash points.
    Points,
    /// Killed, stopped, left, forked, replaced by another program or unmapped, at random instants.
    Ends,
    /// Killed, with every process being process 1 of a PID namespace of its own.
    Namespaces,
    /// Killed at every instruction boundary of one step.
    Steps,
    /// The same, while another works on it.
    Contended,
    /// Killed at every instruction boundary of a recovery, by whoever was there before.
    Recovery,
    /// The same, by whoever joins afterwards: at every boundary of joining, too.
    Joining,
}

impl Kind {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 8] = [
        Self::Random,
        Self::Points,
        Self::Ends,
        Self::Namespaces,
        Self::Steps,
        Self::Contended,
        Self::Recovery,
        Self::Joining,
    ];

    /// Whether its trials are numbered by instruction boundaries and not by seeds.
    pub fn steps(self) -> bool {
        matches!(self, Self::Steps | Self::Contended | Self::Recovery | Self::Joining)
    }

    /// How many ends one structure meets.
    pub fn usual_count(self, long: bool) -> u64 {
        match (self, long) {
            (Self::Random, false) => 1_500,
            (Self::Random, true) => 75_000,
            (Self::Points, false) => 350,
            (Self::Points, true) => 25_000,
            // Each of six ends about 500 times over all structures.
            (Self::Ends, false) => 220,
            (Self::Ends, true) => 25_000,
            (Self::Namespaces, false) => 50,
            (Self::Namespaces, true) => 5_000,
            (Self::Steps, _) => 50_000,
            (Self::Contended, false) => 0,
            (Self::Contended, true) => 20_000,
            (Self::Recovery | Self::Joining, _) => 200_000,
        }
    }

    /// Tries it.
    ///
    /// # Errors
    ///
    /// What keeps the harness itself from working, in words.
    pub fn run(self, structure: &dyn Structure, options: &Options) -> Result<Report, String> {
        match self {
            Self::Random => random(structure, options, Ends::Kills),
            Self::Points => points(structure, options),
            Self::Ends => random(structure, options, Ends::All),
            Self::Namespaces => namespaces(structure, options),
            Self::Steps => steps(structure, options, Nesting::Alone),
            Self::Contended => steps(structure, options, Nesting::Contended),
            Self::Recovery => steps(structure, options, Nesting::Recovery),
            Self::Joining => steps(structure, options, Nesting::Joining),
        }
    }
}

/// A structure that shows whether the harness notices.
pub struct Control {
    /// The structure.
    pub structure: Box<dyn Structure>,
    /// In which kind of trials it is tried.
    pub kind: Kind,
    /// Within how many ends.
    pub within: u64,
    /// How long nothing may move before it is called stuck.
    pub bound: Duration,
    /// What must be found; nothing, if it is whole.
    pub finds: Option<Fault>,
}

/// What the harness must find, and what it must find whole.
pub fn controls() -> Vec<Control> {
    let stuck = |held| Control {
        structure: Box::new(Unrecovered(held)),
        kind: Kind::Random,
        within: 2_000,
        bound: Duration::from_secs(2),
        finds: Some(Fault::Stuck),
    };
    let torn = |structure: Box<dyn Structure>| Control {
        structure,
        kind: Kind::Steps,
        within: 20_000,
        bound: Duration::from_secs(5),
        finds: Some(Fault::Torn),
    };
    let whole =
        |kind| Control { structure: Box::new(OneWord), kind, within: 400, bound: Duration::from_secs(5), finds: None };
    // A forked child keeps the open file, and with it the lock of its dead parent.
    let inherited =
        Control { kind: Kind::Ends, bound: Duration::from_secs(1), finds: Some(Fault::Stuck), ..whole(Kind::Ends) };
    vec![
        torn(Box::new(Robust)),
        torn(Box::new(Ledger)),
        stuck(Held::Mutex),
        stuck(Held::Writer),
        stuck(Held::Reader),
        stuck(Held::Permit),
        // By changes alone, too.
        Control { kind: Kind::Recovery, ..torn(Box::new(Robust)) },
        Control { kind: Kind::Joining, ..torn(Box::new(Ledger)) },
        // A forked child keeps the socket by whose end a death is told.
        Control { structure: Box::new(Stream::Forked), kind: Kind::Points, within: 2_000, ..stuck(Held::Mutex) },
        whole(Kind::Random),
        inherited,
        whole(Kind::Namespaces),
        whole(Kind::Steps),
        whole(Kind::Recovery),
    ]
}

/// The structures of ours.
pub fn structures() -> Vec<Box<dyn Structure>> {
    vec![
        Box::new(Books::UnderMutex),
        Box::new(Books::InRegion),
        Box::new(Books::InTxRegion),
        Box::new(Books::UnderRwLock),
        Box::new(Books::Forgotten),
        Box::new(Permits),
        Box::new(Slots),
        Box::new(Frames),
        Box::new(Buffers),
        Box::new(Newest),
        Box::new(Membership),
        Box::new(Stream::Plain),
    ]
}
