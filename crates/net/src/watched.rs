//! Descriptors that the current tokio runtime waits for.

use std::{io, os::fd::AsRawFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Registers what owns a descriptor. It must have the same one open for as long as it lives, as owned and shared descriptors do.
pub(crate) fn watched<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    #[expect(deprecated, reason = "what replaces it is unsafe; all that is given to it here owns its descriptor")]
    AsyncFd::with_interest(owner, interest)
}
