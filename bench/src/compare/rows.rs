//! The lines of the table: what is measured, what it is called, and what it is held against.

use serde::Serialize;

use crate::clients::{Library, Side};
use crate::load::Workload;
use crate::spread::Spread;
use crate::targets::{self, Target};

/// One figure of one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    Rate(Workload),
    Cpu(Workload),
    PacedP50,
    PacedP99,
    PacedP999,
    PacedShare,
    IdleBytes(usize),
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

impl Figure {
    pub(crate) fn name(self) -> String {
        let of = |load: Workload| {
            let payload = if load.payload.is_multiple_of(1024) {
                format!("{} KiB", load.payload / 1024)
            } else {
                format!("{} B", load.payload)
            };
            format!("{}→{} {payload}", load.publishers, load.subscribers)
        };
        match self {
            Self::Rate(load) => format!("{} M/s", of(load)),
            Self::Cpu(load) => format!("{} CPU µs", of(load)),
            Self::PacedP50 => "paced p50 µs".into(),
            Self::PacedP99 => "paced p99 µs".into(),
            Self::PacedP999 => "paced p99.9 µs".into(),
            Self::PacedShare => "paced core used %".into(),
            Self::IdleBytes(connections) => format!("{connections} idle, B each"),
        }
    }

    pub(crate) const fn better(self) -> Better {
        match self {
            Self::Rate(_) => Better::More,
            _ => Better::Less,
        }
    }

    pub(crate) const fn target(self) -> Option<Target> {
        match self {
            Self::Rate(load) => targets::rate(load.payload, load.subscribers, load.publishers),
            Self::Cpu(load) => targets::cpu(load.payload),
            Self::PacedP50 => Some(targets::P50),
            Self::PacedP999 => Some(targets::P999),
            Self::PacedP99 | Self::PacedShare => None,
            Self::IdleBytes(_) => Some(targets::IDLE_BYTES),
        }
    }
}

/// One line: a figure of every contender, and the judgement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) figure: String,
    /// In the order of the contenders; `None` where the measurement failed.
    pub(crate) contenders: Vec<Option<Spread>>,
    /// Ours against the better reference.
    pub(crate) ratio: Option<f64>,
    pub(crate) target: Option<Target>,
    pub(crate) met: Option<bool>,
}

/// The client libraries through one server.
#[derive(Debug, Serialize)]
pub(crate) struct ClientTable {
    pub(crate) through: String,
    pub(crate) rows: Vec<Row>,
}

/// What a line of the client table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientFigure {
    Raw,
    Library(Library, Side),
}

impl ClientFigure {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Raw => "raw sockets, both sides".into(),
            Self::Library(library, Side::Publish) => format!("{library} publishes"),
            Self::Library(library, Side::Subscribe) => format!("{library} subscribes"),
        }
    }

    pub(crate) const fn target(self) -> Option<Target> {
        match self {
            Self::Raw | Self::Library(Library::AsyncNats, _) => None,
            Self::Library(..) => Some(targets::OUR_CLIENT),
        }
    }
}
