//! What a chore ends with when it cannot go on: a failure, or a check that could not run here.

use std::fmt;
use std::process::ExitCode;

/// The exit code by which a command says "I could not run here".
///
/// The last line it wrote to stderr is the reason. The number is the one automake's test driver uses for a skipped test.
pub(crate) const NOT_RUN: u8 = 77;

/// Why a chore stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The check ran, or should have, and did not hold.
    Failed(String),
    /// The check lacks something on this machine: a tool, a privilege.
    NotRun(String),
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }

    pub(crate) fn not_run(why: impl fmt::Display) -> Self {
        Self::NotRun(why.to_string())
    }

    /// Writes the failure as the last line of stderr and gives the exit code that goes with it.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Failed(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
            Self::NotRun(why) => {
                eprintln!("{why}");
                ExitCode::from(NOT_RUN)
            }
        }
    }
}
