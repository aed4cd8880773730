//! Waiting for several connections and receivers of datagrams at once.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::transport::Armed;

/// Waits until a read of one of them is worth a try, or `timeout` has passed. Which of them it is, trying tells; it may be none. Blocks meanwhile.
///
/// What there is to wait for say [`Connection::arm_reading`](crate::Connection::arm_reading) and
/// [`Datagrams::arm_receiving`](crate::Datagrams::arm_receiving), after an attempt that has found nothing.
///
/// # Errors
///
/// The operating system's; those of arming.
pub fn wait_for_any<'a>(
    armed: impl IntoIterator<Item = io::Result<Armed<'a>>>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let armed = armed.into_iter().collect::<io::Result<Vec<_>>>()?;
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
