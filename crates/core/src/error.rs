//! The error of everything that crosses a process.
//!
//! Kinds are sorted by who must act, because that is the question a caller has: may I repeat it, must I change it, or do I
//! tell somebody? Local acts that can give a value back (`try_send`) have error types of their own.

use std::{borrow::Cow, error, fmt};

/// The result of an act that crosses a process.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, sorted by who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    // The caller must change the request.
    /// An argument is not valid.
    InvalidInput,
    /// The endpoint or backend cannot keep this promise.
    Unsupported,
    /// The message is larger than the path allows. Nothing was sent.
    TooLarge,
    /// The handle was closed on purpose; it will not work again.
    Closed,

    // The peer, or whoever administers it, must act.
    /// Credentials are missing or wrong, or a permission is.
    Denied,
    /// Nobody listens there. The request was not executed.
    NoResponders,
    /// The peer broke the protocol.
    Protocol,
    /// The process at the other end is gone, and that is proved.
    PeerDied,
    /// The peer refused, and said why.
    Rejected,

    // A resource is exhausted; waiting or giving more helps.
    /// A bounded buffer is full. Nothing was accepted.
    Full,
    /// A configured limit was reached.
    Limit,

    // Time or the link.
    /// The deadline passed. What was sent may have taken effect.
    Timeout,
    /// The link was lost. What was sent may have taken effect.
    Disconnected,
    /// The operating system reported an error.
    Io,

    // We must act.
    /// An invariant of Crosstie itself does not hold.
    Bug,
}

impl Kind {
    /// The stable name used in JSON output and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::Closed => "closed",
            Self::Denied => "denied",
            Self::NoResponders => "no_responders",
            Self::Protocol => "protocol",
            Self::PeerDied => "peer_died",
            Self::Rejected => "rejected",
            Self::Full => "full",
            Self::Limit => "limit",
            Self::Timeout => "timeout",
            Self::Disconnected => "disconnected",
            Self::Io => "io",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What went wrong, in a sentence for a human, with what caused it.
///
/// ```
/// use crosstie_core::{Error, Kind};
///
/// let error = Error::new(Kind::TooLarge, "the payload has 2000000 bytes, the server accepts 1048576: split it");
/// assert_eq!(error.kind(), Kind::TooLarge);
/// ```
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: Cow<'static, str>,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`. The message says what was expected, what came, and what to do.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Who must act.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence alone, without its cause.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let (kind, message) = match source.kind() {
            ErrorKind::TimedOut => (Kind::Timeout, "the operating system reports a time-out"),
            ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionAborted => (Kind::Disconnected, "the connection was lost"),
            ErrorKind::PermissionDenied => (Kind::Denied, "the operating system denied access"),
            _ => (Kind::Io, "the operating system reports an error"),
        };
        Self::new(kind, message).because(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_part_of_the_sentence_and_of_the_chain() {
        let error = Error::new(Kind::Io, "cannot read the ledger").because(std::io::Error::other("disk on fire"));
        assert_eq!(error.to_string(), "cannot read the ledger: disk on fire");
        assert!(error::Error::source(&error).is_some());
    }
}
