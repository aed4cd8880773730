//! Why a message was not sent or did not come.

use std::task::Poll;

use crate::{
    error::{Error, Result},
    layout::ParticipantId,
};

/// Why a message was not sent. The message comes back.
#[derive(Debug, thiserror::Error)]
pub enum SendError<T> {
    /// There is no room now; only from acts that do not wait.
    #[error("the ring is full; receive from it, or wait for room")]
    Full(T),
    /// The deadline passed before there was room.
    #[error("the deadline passed before the ring had room")]
    TimedOut(T),
    /// The receiver left on purpose.
    #[error("the receiver has closed the ring")]
    Closed(T),
    /// The ring is full and the receiver died. A successor would find in it what was not taken.
    #[error("the ring is full and its receiver {by} died; start a receiver anew")]
    PeerDied {
        /// What was to be sent.
        message: T,
        /// Who died.
        by: ParticipantId,
    },
    /// The ring itself is out of order.
    #[error("{error}")]
    Failed {
        /// What was to be sent.
        message: T,
        /// What is wrong.
        #[source]
        error: Error,
    },
}

impl<T> SendError<T> {
    /// What was not sent.
    pub fn into_message(self) -> T {
        match self {
            Self::Full(message)
            | Self::TimedOut(message)
            | Self::Closed(message)
            | Self::PeerDied { message, .. }
            | Self::Failed { message, .. } => message,
        }
    }

    /// What is wrong with the ring, if that is why.
    pub(super) fn failure(self) -> Option<Error> {
        if let Self::Failed { error, .. } = self { Some(error) } else { None }
    }

    /// The same reason with another message.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> SendError<U> {
        match self {
            Self::Full(message) => SendError::Full(change(message)),
            Self::TimedOut(message) => SendError::TimedOut(change(message)),
            Self::Closed(message) => SendError::Closed(change(message)),
            Self::PeerDied { message, by } => SendError::PeerDied { message: change(message), by },
            Self::Failed { message, error } => SendError::Failed { message: change(message), error },
        }
    }
}

/// Why no message came. Whatever the sender sent before it left or died was received first.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// There is nothing now; only from acts that do not wait.
    #[error("the ring is empty")]
    Empty,
    /// The deadline passed before anything came.
    #[error("the deadline passed before a message came")]
    TimedOut,
    /// The sender left on purpose, and everything that it sent was received.
    #[error("the sender has closed the ring")]
    Closed,
    /// The sender died, and everything that it sent was received. Its successor goes on where it left off.
    #[error("the sender {by} died")]
    PeerDied {
        /// Who died.
        by: ParticipantId,
    },
    /// The ring itself is out of order.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl ReceiveError {
    /// What is wrong with the ring, if that is why.
    pub(crate) fn failure(self) -> Option<Error> {
        if let Self::Failed(error) = self { Some(error) } else { None }
    }
}

/// What arming says of a poll: false if it is armed now, true if there is something to do at once. Only a `failure` is an error.
pub(crate) fn is_ready<T, E>(polled: Poll<Result<T, E>>, failure: impl FnOnce(E) -> Option<Error>) -> Result<bool> {
    match polled {
        Poll::Pending => Ok(false),
        Poll::Ready(outcome) => outcome.err().and_then(failure).map_or(Ok(true), Err),
    }
}
