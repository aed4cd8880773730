//! Reads that sleep in the read itself, so that who waits makes one system call and not three.

use std::{
    io,
    os::fd::BorrowedFd,
    sync::{Mutex, TryLockError},
    time::{Duration, Instant},
};

use crosstie_core::instant_after;
use rustix::{
    io::Errno,
    net::{
        RecvFlags, recv,
        sockopt::{Timeout, set_socket_timeout},
    },
};

/// The time limit that a blocking socket has for reads, kept so that it is rarely set. Whoever sleeps in a read holds it, so nobody changes it meanwhile.
#[derive(Default)]
pub(super) struct Sleeper(Mutex<Limit>);

/// None is that of a fresh socket.
#[derive(Default)]
struct Limit(Option<Duration>);

/// Below that the kernel's coarse clock of sockets would show.
const SHORTEST: Duration = Duration::from_secs(1);
/// A limit that is longer than it should be by less than this part of it is left as it is.
const TOLERANCE: u32 = 128;

impl Sleeper {
    /// Reads what is there, waiting for it at most `timeout`. `None` if this wait is not one that can be slept through: it is short, or another
    /// thread sleeps here.
    pub(super) fn read(
        &self,
        socket: BorrowedFd<'_>,
        buf: &mut [u8],
        timeout: Option<Duration>,
    ) -> Option<io::Result<usize>> {
        if timeout.is_some_and(|timeout| timeout < SHORTEST) {
            return None;
        }
        let mut limit = match self.0.try_lock() {
            Ok(limit) => limit,
            Err(TryLockError::Poisoned(limit)) => limit.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(limit.sleep(socket, buf, timeout))
    }
}

impl Limit {
    fn sleep(&mut self, socket: BorrowedFd<'_>, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        let until = timeout.map(|timeout| instant_after(Instant::now(), timeout));
        let mut left = timeout;
        loop {
            self.allow(socket, left)?;
            match recv(socket, &mut *buf, RecvFlags::empty()) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok((_, count)) => return Ok(count),
            }
            left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Sets the socket's limit to about `left`.
    fn allow(&mut self, socket: BorrowedFd<'_>, left: Option<Duration>) -> io::Result<()> {
        let fits = match (self.0, left) {
            (Some(limit), Some(left)) => limit <= left + left / TOLERANCE && limit >= left / 2,
            (limit, left) => limit == left,
        };
        if !fits {
            // Zero would be no limit at all.
            let wanted = left.map(|left| left.max(Duration::from_millis(1)));
            set_socket_timeout(socket, Timeout::Recv, wanted)?;
            self.0 = wanted;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::{fd::AsFd, unix::net::UnixStream},
        thread,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_there_or_comes_is_read_and_the_limit_is_set_once() {
        let (here, mut there) = UnixStream::pair().unwrap();
        let sleeper = Sleeper::default();
        let read = |timeout| {
            let mut buf = [0; 8];
            let count = sleeper.read(here.as_fd(), &mut buf, timeout).unwrap().unwrap();
            (buf[0], count)
        };
        there.write_all(b"a").unwrap();
        assert_eq!(read(Some(LONG)), (b'a', 1));
        assert_eq!(here.read_timeout().unwrap(), Some(LONG));
        thread::scope(|scope| {
            scope.spawn(|| (&there).write_all(b"bc").unwrap());
            assert_eq!(read(Some(LONG - Duration::from_millis(1))).0, b'b');
        });
        assert_eq!(here.read_timeout().unwrap(), Some(LONG), "a millisecond less is not worth a system call");
        there.write_all(b"d").unwrap();
        read(Some(2 * SHORTEST));
        assert_eq!(here.read_timeout().unwrap(), Some(2 * SHORTEST));
        there.write_all(b"e").unwrap();
        read(None);
        assert_eq!(here.read_timeout().unwrap(), None);
        drop(there);
        assert_eq!(read(Some(LONG)).1, 0, "the end");
    }

    #[test]
    fn a_wait_that_is_over_says_so_and_short_ones_are_not_slept_through() {
        let (here, _there) = UnixStream::pair().unwrap();
        let (short, begun) = (Duration::from_millis(20), Instant::now());
        let error = Limit::default().sleep(here.as_fd(), &mut [0; 8], Some(short)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= short);
        assert!(Sleeper::default().read(here.as_fd(), &mut [0; 8], Some(SHORTEST / 2)).is_none());
    }

    #[test]
    fn one_thread_sleeps_and_the_others_are_told_to_wait_otherwise() {
        let (here, _there) = UnixStream::pair().unwrap();
        let sleeper = Sleeper::default();
        let _held = sleeper.0.lock().unwrap();
        assert!(sleeper.read(here.as_fd(), &mut [0; 8], Some(LONG)).is_none());
    }
}
