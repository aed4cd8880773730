//! Waiting for many descriptors at once: epoll, level-triggered, and an eventfd to wake it from another thread.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, Timespec, epoll, eventfd},
    io::{Errno, read, write},
};

/// What to wait for on a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing but its end.
    None,
    /// Bytes to read.
    Read,
    /// Room to write.
    Write,
    /// Either.
    ReadWrite,
}

impl Interest {
    const fn flags(self) -> epoll::EventFlags {
        match self {
            Self::None => epoll::EventFlags::empty(),
            Self::Read => epoll::EventFlags::IN.union(epoll::EventFlags::RDHUP),
            Self::Write => epoll::EventFlags::OUT,
            Self::ReadWrite => epoll::EventFlags::IN.union(epoll::EventFlags::RDHUP).union(epoll::EventFlags::OUT),
        }
    }
}

/// A descriptor that became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The number it was added under.
    pub token: u64,
    /// There is something to read, an end of stream included.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The other side will send no more, or there is an error: it must be removed, or it will be reported for ever. There may be bytes
    /// left to read.
    pub ended: bool,
}

/// A set of descriptors to wait for. Adding and changing may happen from any thread.
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// An empty set.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Adds a descriptor under `token`. It must be removed or closed before the token is used again.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Changes what is waited for.
    ///
    /// # Errors
    ///
    /// The operating system's; `NotFound` if it was never added.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Removes a descriptor.
    ///
    /// # Errors
    ///
    /// The operating system's; `NotFound` if it was never added.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// True if another descriptor than that of `token` is ready now. Nothing is taken: the next wait tells of it again.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn is_another_ready(&self, token: u64) -> io::Result<bool> {
        let mut raw =
            [const { epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) } }; 2];
        let count = epoll::wait(&self.epoll, &mut raw[..], Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        Ok(raw[..count].iter().any(|event| event.data.u64() != token))
    }

    /// Waits until a descriptor is ready or `timeout` has passed, and puts what is ready into `events`, at most 256 at a time.
    ///
    /// # Errors
    ///
    /// The operating system's. A signal is not an error: the call returns with no events.
    pub fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        let mut raw =
            [const { epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) } }; 256];
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        events.clear();
        let count = match epoll::wait(&self.epoll, &mut raw[..], timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        events.extend(raw[..count].iter().map(|event| {
            let flags = event.flags;
            Event {
                token: event.data.u64(),
                readable: flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::HUP),
                writable: flags.contains(epoll::EventFlags::OUT),
                ended: flags.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR),
            }
        }));
        Ok(())
    }
}

impl AsFd for Poller {
    /// Readable while a descriptor in the set is ready: a set can be waited for like one descriptor.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// A bell that any thread can ring to end a wait.
pub struct Waker {
    event: OwnedFd,
}

impl Waker {
    /// A bell that rings in `poller` under `token`.
    ///
    /// # Errors
    ///
    /// The operating system's, mostly for want of descriptors.
    pub fn new(poller: &Poller, token: u64) -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        poller.add(&event, token, Interest::Read)?;
        Ok(Self { event })
    }

    /// Ends the current wait, or the next one if there is none.
    #[allow(clippy::host_endian_bytes, reason = "the kernel reads the number on this very machine")]
    pub fn wake(&self) {
        // The counter is full only if it rings already.
        let _ = write(&self.event, &1u64.to_ne_bytes());
    }

    /// Silences the bell; whoever is woken calls it first.
    pub fn reset(&self) {
        let _ = read(&self.event, &mut [0u8; 8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_wait_ends_it_at_once() {
        let poller = Poller::new().unwrap();
        let waker = Waker::new(&poller, 7).unwrap();
        let mut events = Vec::new();
        waker.wake();
        poller.wait(&mut events, Some(Duration::from_secs(10))).unwrap();
        assert_eq!(events.iter().map(|event| event.token).collect::<Vec<_>>(), [7]);
        waker.reset();
        poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
    }
}
