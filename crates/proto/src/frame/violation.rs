//! How the other side can break the protocol.

use crosstie_core::{Error, Kind};

/// What is wrong with what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The first bytes are not the preamble.
    #[error("expected a Crosstie channel, found a stream that begins with '{0}': is this the right address?")]
    Preamble(String),
    /// A datagram is none of a channel.
    #[error("expected a datagram of a Crosstie channel, found one that begins with '{0}': who sends here?")]
    Datagram(String),
    /// A frame is longer than this side takes.
    #[error("a frame of {found} bytes came, at most {limit} are taken: raise max_frame here, or send less")]
    TooLong {
        /// As its length says.
        found: usize,
        /// What was stated in the hello.
        limit: usize,
    },
    /// A frame is too short for its head, or what is in it.
    #[error("a frame is cut short: expected {expected} bytes of {what}, found {found}")]
    Short {
        /// What does not fit.
        what: &'static str,
        /// How many bytes it needs.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The check does not match.
    #[error("a frame was changed on its way: its check is {expected:08x}, its bytes have {found:08x}")]
    Check {
        /// As it was sent.
        expected: u32,
        /// Of what came.
        found: u32,
    },
    /// A kind, flag or field that this version does not know, and must not ignore.
    #[error("found {what} {found}, which version {} does not know: the other side is newer", super::VERSION)]
    Unknown {
        /// What it is.
        what: &'static str,
        /// Its value.
        found: u32,
    },
    /// A field of a hello has no valid value.
    #[error("the hello of the other side is not valid: {0}")]
    Hello(String),
    /// A frame that may not come now.
    #[error("a {found} came {when}")]
    OutOfTurn {
        /// The kind of frame.
        found: &'static str,
        /// What holds now.
        when: &'static str,
    },
    /// Text that is no UTF-8, or a header that breaks the rules.
    #[error("{0}")]
    Text(String),
    /// The two have nothing in common; the other side is told as well.
    #[error("there is no channel: {0}")]
    Refused(String),
    /// A compressed payload without being asked for, or longer than this side takes.
    #[error("a compressed payload of {found} bytes came, at most {limit} are taken")]
    Inflated {
        /// Its length before compression, as it says.
        found: usize,
        /// What this side takes; 0 if it undoes no compression.
        limit: usize,
    },
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        let kind = match violation {
            Violation::TooLong { .. } | Violation::Inflated { .. } => Kind::TooLarge,
            Violation::Refused(_) => Kind::Rejected,
            _ => Kind::Protocol,
        };
        Self::new(kind, violation.to_string())
    }
}
