//! The two ways to carry a session's bytes: a tokio task, and a thread.

mod carrier;
pub(crate) mod task;
pub(crate) mod thread;

use std::io;

use crosstie_core::{Error, Kind, Target};

/// How much is read at once.
const READ_BUFFER: usize = 256 * 1024;

fn no_answer() -> Error {
    Error::new(Kind::Timeout, "the server did not answer in time")
}

fn ended() -> Error {
    Error::new(Kind::Disconnected, "the server ended the connection")
}

/// The error of a read or a write.
fn told(error: io::Error) -> Error {
    #[cfg(feature = "tls")]
    if let Some(error) = crosstie_net::tls_refusal(&error) {
        return error;
    }
    error.into()
}

fn unreachable(target: &Target, error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::TimedOut { Kind::Timeout } else { Kind::Disconnected };
    Error::new(kind, format!("cannot connect to '{target}' ({error})"))
}
