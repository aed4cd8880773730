//! Waiting for several connections at once.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::connection::Connection;

/// Waits until a read of one of them is worth a try, or `timeout` has passed. Which of them it is, trying tells; it may be none. Blocks meanwhile.
///
/// # Errors
///
/// The operating system's; `Unsupported` if one of them cannot be waited for with others.
pub fn wait_for_any<'a>(
    connections: impl IntoIterator<Item = &'a Connection>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let armed = connections.into_iter().map(Connection::arm_reading).collect::<io::Result<Vec<_>>>()?;
    if armed.iter().any(|one| one.is_ready) {
        return Ok(());
    }
    let timeout = armed.iter().filter_map(|one| one.at_most).chain(timeout).min().map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let descriptors: Vec<(BorrowedFd<'_>, PollFlags)> = armed
        .iter()
        .flat_map(|one| {
            let room = if one.wants_room { PollFlags::OUT } else { PollFlags::empty() };
            one.descriptors.iter().map(move |fd| (fd.as_fd(), PollFlags::IN | PollFlags::RDHUP | room))
        })
        .collect();
    let mut polled: Vec<_> = descriptors.iter().map(|(fd, flags)| PollFd::new(fd, *flags)).collect();
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
