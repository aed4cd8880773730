//! Exit codes, and how an error becomes one.

use std::{fmt, io, process::ExitCode};

use crosstie_core::{Error, Kind};
use crosstie_server::ConfigError;

/// What a shell sees. The numbers are part of the interface and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Something failed that has no number of its own.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is nothing of this name, or nobody who answers to it; nothing was executed.
    NotFound = 3,
    /// Credentials or permissions are missing.
    Denied = 4,
    /// The time was up: it may have been executed.
    Deadline = 5,
    /// The other side answered with an error of its own.
    Application = 6,
    /// Refused, overloaded, or no connection to a broker: nothing was executed, trying again is safe.
    Refused = 7,
    /// The process at the other end has died, which is proved: what was on its way may be lost.
    PeerDied = 8,
    /// The connection was lost in the middle; nobody knows how much the other side has.
    Disconnected = 9,
    /// As [`Code::Failure`], of what otherwise has the exit code of a command that it runs; `env` and `timeout` have the same.
    NotTheCommand = 125,
}

/// The exit codes as the help shows them.
pub(crate) const TABLE: &str = "Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    not found: nobody answers to this subject, no segment has this name;
       nothing was executed
  4    denied: credentials or permissions are missing
  5    out of time: it may have been executed
  6    the other side answered with an error
  7    refused or overloaded, a lock held or a segment in use by others, or no
       broker to connect to; nothing was executed, try again
  8    the process at the other end of an endpoint has died
  9    the connection to an endpoint was lost; nobody knows what has arrived
  130  interrupted (SIGINT, Ctrl-C)
  143  terminated (SIGTERM)
'serve' and 'demo' end in order on these two signals, with 0 if all went well.";

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command ends without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Tell the user.
    Told { code: Code, kind: &'static str, message: String },
    /// Tell the user everything that is wrong with a configuration.
    Mistakes(Vec<ConfigError>),
    /// A command that was run has this exit code, or could not be run.
    Command { code: u8, message: Option<String> },
    /// Nobody reads our output any more: end without a word, as every filter does.
    BrokenPipe,
}

impl Failure {
    pub(crate) fn new(code: Code, kind: &'static str, message: impl Into<String>) -> Self {
        Self::Told { code, kind, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, "usage", message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            Kind::InvalidInput | Kind::Unsupported => Code::Usage,
            Kind::NoResponders => Code::NotFound,
            Kind::Denied => Code::Denied,
            Kind::Timeout | Kind::Disconnected => Code::Deadline,
            Kind::Full | Kind::Limit | Kind::Rejected => Code::Refused,
            _ => Code::Failure,
        };
        Self::new(code, error.kind().name(), error.to_string())
    }
}

impl Failure {
    /// The same failure before anything was sent: it is known that nothing was executed.
    pub(crate) fn before_sending(error: Error) -> Self {
        match error.kind() {
            Kind::Timeout | Kind::Disconnected => Self::new(Code::Refused, error.kind().name(), error.to_string()),
            _ => error.into(),
        }
    }
}

impl Failure {
    /// The failure of a connection over an endpoint that was there.
    pub(crate) fn on_the_way(kind: Kind, message: impl Into<String>) -> Self {
        let code = match kind {
            Kind::PeerDied => Code::PeerDied,
            Kind::Disconnected => Code::Disconnected,
            _ => return Self::from(Error::new(kind, message.into())),
        };
        Self::new(code, kind.name(), message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Code::Usage, "invalid_config", error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::new(Code::Failure, "io", error.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told { message, .. } => f.write_str(message),
            Self::Mistakes(mistakes) => {
                let told: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
                f.write_str(&told.join("; "))
            }
            Self::Command { message, .. } => f.write_str(message.as_deref().unwrap_or("the command failed")),
            Self::BrokenPipe => f.write_str("nobody reads the output"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_executed_is_told_from_what_was_not() {
        let code = |failure: Failure| match failure {
            Failure::Told { code, .. } => code,
            _ => panic!(),
        };
        assert_eq!(code(Error::new(Kind::Timeout, "").into()), Code::Deadline);
        assert_eq!(code(Error::new(Kind::NoResponders, "").into()), Code::NotFound);
        assert_eq!(code(Failure::before_sending(Error::new(Kind::Disconnected, ""))), Code::Refused);
    }
}
