//! What a measurement fails with: a sentence for the person who runs it.

use std::fmt;
use std::io;

/// A sentence that says what was expected, what came, and what to do.
#[derive(Debug)]
pub(crate) struct Error(String);

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For `map_err`: puts what was being done before the cause.
    pub(crate) fn during<E: fmt::Display>(doing: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |cause| Self(format!("{doing}: {cause}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(cause: io::Error) -> Self {
        Self(cause.to_string())
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(cause: rustix::io::Errno) -> Self {
        Self(cause.to_string())
    }
}

impl From<crosstie_core::Error> for Error {
    fn from(cause: crosstie_core::Error) -> Self {
        Self(cause.to_string())
    }
}
