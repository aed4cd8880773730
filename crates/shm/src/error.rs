//! What can go wrong with a segment.

use std::{io, path::PathBuf};

use crate::{header::Refusal, name::NameError};

/// The result of an act on a segment.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a segment. A message says what was expected, what came, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no such directory: that of the segments, or the one that it should be made in.
    #[error("expected a directory at {path}, found none; make it, or name another", path = path.display())]
    NoDirectory {
        /// Where it should be.
        path: PathBuf,
    },
    /// An environment variable says what cannot be.
    #[error("{what}")]
    Variable {
        /// Which one, what was expected, what came.
        what: String,
    },
    /// The directory for segments is not safe to use.
    #[error("the directory of segments {path}: {what}", path = path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// What was expected, what came, what to do.
        what: String,
    },
    /// There is no segment of this name.
    #[error("expected a segment `{segment}`, found none; whoever makes it may not have started yet")]
    NotFound {
        /// Its name.
        segment: String,
    },
    /// There is a segment of this name already.
    #[error(
        "expected no segment `{segment}`, found generation {generation}; open it, or remove it with `crosstie shm rm`"
    )]
    AlreadyExists {
        /// Its name.
        segment: String,
        /// Its generation.
        generation: u32,
    },
    /// The segment is not what this program can use.
    #[error("segment `{segment}` is refused: {refusal}")]
    Refused {
        /// Its name, or a word for one that has none.
        segment: String,
        /// Why.
        refusal: Refusal,
    },
    /// What was asked for cannot be built.
    #[error("a segment like this cannot be: expected {what}")]
    Spec {
        /// What was expected, and what came.
        what: String,
    },
    /// The file system or memory is full. Nothing was left behind.
    #[error("expected {bytes} free bytes for segment `{segment}`, {place} is full; make room or make it smaller")]
    NoSpace {
        /// Its name.
        segment: String,
        /// How much it needs.
        bytes: u64,
        /// Where.
        place: String,
    },
    /// A buffer was not this process's to accept, or not to be given.
    #[error("pool `{segment}`: expected {what}")]
    Loan {
        /// Its name.
        segment: String,
        /// What was expected, and what came.
        what: String,
    },
    /// A process that lives has this end already.
    #[error("the {seat} of segment `{segment}` is participant {by}, which lives; there is one at a time")]
    SeatTaken {
        /// Its name.
        segment: String,
        /// Which end.
        seat: &'static str,
        /// Who has it.
        by: crate::ParticipantId,
    },
    /// Every slot is taken by a process that lives.
    #[error(
        "expected a free place among the {slots} participants of segment `{segment}`, all are taken by those who live; \
         wait until one leaves"
    )]
    Full {
        /// Its name.
        segment: String,
        /// How many slots it has.
        slots: u32,
    },
    /// So many readers as it was made for read the value already.
    #[error(
        "expected at most {readers} readers of `{segment}` at a time, as it was made for; end one, or make it anew for more"
    )]
    NoPlaceToRead {
        /// Its name.
        segment: String,
        /// How many it has places for.
        readers: u32,
    },
    /// Somebody takes part in the segment.
    #[error("segment `{segment}` is in use by {alive} live participants; end them first, or force it")]
    InUse {
        /// Its name.
        segment: String,
        /// How many live.
        alive: u32,
    },
    /// Another generation has replaced the segment: open it anew.
    #[error("segment `{segment}` is retired by generation {by}; open it anew with a build that knows its layout")]
    Retired {
        /// Its name.
        segment: String,
        /// The generation to use instead.
        by: u32,
    },
    /// The segment was removed while this process still had it.
    #[error("segment `{segment}` was removed; open or create it anew")]
    Removed {
        /// Its name.
        segment: String,
    },
    /// Somebody found the segment damaged.
    #[error("segment `{segment}` is poisoned: its content is damaged; remove it with `crosstie shm rm` and start anew")]
    Poisoned {
        /// Its name.
        segment: String,
    },
    /// This is a child of `fork`, and the handle belongs to its parent.
    #[error("this process was forked from the one that joined segment `{segment}`; join it anew in the child")]
    Forked {
        /// Its name.
        segment: String,
    },
    /// What is in the segment cannot be.
    #[error("segment `{segment}` is damaged: expected {what}")]
    Corrupt {
        /// Its name.
        segment: String,
        /// What was expected, and what came.
        what: String,
    },
    /// The operating system said no.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// What it said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::System { doing, source }
    }
}
