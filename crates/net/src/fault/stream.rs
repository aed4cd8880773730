//! A connection that misbehaves on purpose, for threads. Its face for tokio is in `task`.

use std::{
    io::{self, IoSlice},
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use crosstie_core::{ByteTransport, fault::Taken};
use crosstie_sys::Interest;

use super::{
    direction::{Inbound, Outbound},
    frames::{Next, Splitter},
    line::FaultLine,
    log::cut_error,
    queue::{End, Pop},
    task::FaultyTask,
};
use crate::transport::{Armed, AsyncStream, Transport};

/// A connection between which and its user faults are made.
///
/// Nothing runs in the background: what is held back goes on while somebody reads or writes.
pub(crate) struct FaultyStream {
    inner: Box<dyn Transport>,
    inbound: Mutex<Inbound>,
    outbound: Mutex<Outbound>,
    cut: OnceLock<Taken>,
    /// What those wait for who wait for a time alone.
    ended: Mutex<bool>,
    end: Condvar,
}

impl FaultyStream {
    /// Makes faults on frames as `split` cuts them, or on blocks of bytes.
    pub(crate) fn new(inner: Box<dyn Transport>, line: FaultLine, split: Option<Splitter>) -> Self {
        Self {
            inner,
            inbound: Mutex::new(Inbound::new(line.clone(), split.clone())),
            outbound: Mutex::new(Outbound::new(line, split)),
            cut: OnceLock::new(),
            ended: Mutex::new(false),
            end: Condvar::new(),
        }
    }

    fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outbound(&self) -> MutexGuard<'_, Outbound> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> io::Result<()> {
        self.cut.get().map_or(Ok(()), |taken| Err(cut_error(Some(*taken))))
    }

    fn cut(&self, taken: Taken) -> io::Error {
        // Both directions may meet one; the first counts.
        let _ = self.cut.set(taken);
        self.shutdown();
        cut_error(self.cut.get().copied())
    }

    /// True once this end was shut down: what is held back is not waited for.
    fn has_ended(&self) -> bool {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a time, or for the end.
    fn sleep(&self, time: Option<Duration>) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(time) = time else { return };
        drop(self.end.wait_timeout_while(ended, time, |ended| !*ended));
    }

    /// Writes what waits for nothing any more, if nobody else writes. When there is more to write.
    fn tend(&self) -> Option<Instant> {
        let mut outbound = self.outbound.try_lock().ok()?;
        loop {
            let (owed, due) = outbound.owed(Instant::now());
            if owed.is_empty() || self.cut.get().is_some() {
                return due;
            }
            match self.inner.try_write(&[IoSlice::new(owed)]) {
                Ok(count) if count > 0 => outbound.wrote(count),
                // The next write tells.
                _ => return due,
            }
        }
    }
}

impl ByteTransport for FaultyStream {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        if self.has_ended() {
            return Ok(0);
        }
        self.tend();
        let mut inbound = self.inbound();
        loop {
            let now = Instant::now();
            match inbound.pop(buf, now) {
                Pop::Read(count) => return Ok(count),
                Pop::Ended(End::Finished) => return Ok(0),
                Pop::Ended(End::Failed(error)) => return Err(error),
                Pop::Ended(End::Cut(taken)) => return Err(self.cut(taken)),
                Pop::Wait | Pop::Empty => {}
            }
            if !inbound.has_room() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            match self.inner.try_read(inbound.scratch()) {
                Ok(count) => inbound.came(count, now),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    return Err(error);
                }
                Err(error) => inbound.ended(End::Failed(error), now),
            }
        }
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let offered: &[u8] = slices.iter().find(|slice| !slice.is_empty()).map_or(&[], |slice| slice);
        let mut outbound = self.outbound();
        loop {
            self.check()?;
            let count = match outbound.next(offered, Instant::now()) {
                Next::Write(bytes) => match self.inner.try_write(&[IoSlice::new(bytes)])? {
                    0 => return Ok(0),
                    count => count,
                },
                Next::Wait(_) if self.has_ended() => return Err(io::ErrorKind::BrokenPipe.into()),
                Next::Wait(_) => return Err(io::ErrorKind::WouldBlock.into()),
                Next::Done(count) => return Ok(count),
                Next::Cut(taken, done) => {
                    let error = self.cut(taken);
                    return if done > 0 { Ok(done) } else { Err(error) };
                }
            };
            outbound.wrote(count);
        }
    }

    fn shutdown(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.end.notify_all();
        self.inner.shutdown();
    }
}

impl Transport for FaultyStream {
    fn wait_ready(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<bool> {
        if self.cut.get().is_some() {
            return Ok(true);
        }
        let now = Instant::now();
        let earlier = |due: Option<Instant>| {
            let left = due.map(|due| due.saturating_duration_since(now));
            [left, timeout].into_iter().flatten().min()
        };
        if interest == Interest::Write {
            return match self.outbound().waits() {
                Some(due) => {
                    self.sleep(earlier(Some(due)));
                    Ok(true)
                }
                None => self.inner.wait_ready(interest, timeout),
            };
        }
        let owed = self.tend();
        let (due, has_room) = {
            let mut inbound = self.inbound();
            (inbound.due(now), inbound.has_room())
        };
        if due.is_some_and(|due| due <= now) {
            return Ok(true);
        }
        let left = earlier([due, owed].into_iter().flatten().min());
        if has_room {
            self.inner.wait_ready(interest, left)?;
        } else {
            self.sleep(left);
        }
        Ok(true)
    }

    fn arm_reading(&self) -> io::Result<Armed<'_>> {
        let now = Instant::now();
        let owed = self.tend();
        let (due, has_room) = {
            let mut inbound = self.inbound();
            (inbound.due(now), inbound.has_room())
        };
        if self.cut.get().is_some() || self.has_ended() || due.is_some_and(|due| due <= now) {
            return Ok(Armed::ready());
        }
        let mut armed = if has_room { self.inner.arm_reading()? } else { Armed::default() };
        let left = [due, owed].into_iter().flatten().min().map(|due| due.saturating_duration_since(now));
        armed.at_most = [armed.at_most, left].into_iter().flatten().min();
        Ok(armed)
    }

    fn into_async(self: Box<Self>) -> io::Result<Box<dyn AsyncStream>> {
        let this = *self;
        let inbound = this.inbound.into_inner().unwrap_or_else(PoisonError::into_inner);
        let outbound = this.outbound.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(FaultyTask::new(this.inner.into_async()?, inbound, outbound, this.cut.into_inner())))
    }

    fn try_flush(&self) -> io::Result<()> {
        self.inner.try_flush()
    }

    fn has_more(&self) -> bool {
        self.inner.has_more()
    }

    fn end_writing(&self) -> io::Result<()> {
        self.outbound().finish();
        self.tend();
        self.inner.end_writing()
    }
}
