//! A descriptor that is ready when a carrier is, or when it is time.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use crosstie_sys::{Interest, Poller};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Waits for a time, and for something else as long as that is of interest.
pub(super) struct Alarm {
    poller: Poller,
    timer: OwnedFd,
    watched: OwnedFd,
    interest: Interest,
    is_watching: bool,
}

impl Alarm {
    /// For what becomes ready besides.
    pub(super) fn new((watched, interest): (BorrowedFd<'_>, Interest)) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let (poller, watched) = (Poller::new()?, watched.try_clone_to_owned()?);
        poller.add(&timer, 0, Interest::Read)?;
        poller.add(&watched, 1, interest)?;
        Ok(Self { poller, timer, watched, interest, is_watching: true })
    }

    /// Says what to wait for from now on.
    pub(super) fn set(&mut self, watch: bool, due: Option<Instant>, now: Instant) -> io::Result<()> {
        if watch != self.is_watching {
            self.is_watching = watch;
            if watch {
                self.poller.add(&self.watched, 1, self.interest)?;
            } else {
                self.poller.remove(&self.watched)?;
            }
        }
        // Zero would be never.
        let left = due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now).max(Duration::from_nanos(1)));
        let value =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}
