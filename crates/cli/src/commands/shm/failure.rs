//! Which exit code an error of a segment has.

use crosstie::shm::{Error, LockError, Refusal};

use crate::exit::{Code, Failure};

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (code, kind) = match &error {
            Error::Name(_) | Error::Variable { .. } => (Code::Usage, "invalid_input"),
            Error::Spec { .. } => (Code::Usage, "unsupported"),
            Error::Directory { .. } => (Code::Denied, "directory"),
            Error::NotFound { .. } | Error::NoDirectory { .. } => (Code::NotFound, "not_found"),
            Error::Refused { refusal: Refusal::Owner { .. } | Refusal::Mode { .. }, .. } => (Code::Denied, "refused"),
            Error::Refused { .. } => (Code::Failure, "refused"),
            Error::InUse { .. } => (Code::Refused, "in_use"),
            Error::Full { .. } | Error::NoSpace { .. } => (Code::Refused, "full"),
            Error::System { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                (Code::Denied, "denied")
            }
            Error::System { source, .. } if source.kind() == std::io::ErrorKind::FileTooLarge => {
                (Code::Refused, "full")
            }
            Error::System { .. } => (Code::Failure, "io"),
            _ => (Code::Failure, "segment"),
        };
        Self::new(code, kind, as_here(&error.to_string()))
    }
}

/// A sentence of the library with its names in the quotes of this command.
pub(super) fn as_here(sentence: &str) -> String {
    sentence.replace('`', "'")
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Segment(error) => error.into(),
            // Whoever did not get the lock has done nothing with it.
            error => Self::new(Code::Refused, "locked", as_here(&error.to_string())),
        }
    }
}
