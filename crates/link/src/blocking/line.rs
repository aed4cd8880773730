//! What the two halves of a channel write through.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

use crosstie_core::{Error, Kind, Result, instant_after};
use crosstie_net::Connection;

use crate::shared::Exchange;

/// What both halves hold.
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) exchange: Exchange,
    outbox: Mutex<Outbox>,
}

/// What is being written.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// Why nothing goes any more. Proof of a death is waited for once.
    lost: Option<(Kind, String)>,
}

/// How long writing may take.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// What goes at once.
    Now,
    /// The channel's deadline.
    Deadline,
    At(Instant),
}

impl Line {
    pub(super) fn new(connection: Connection, exchange: Exchange) -> Self {
        Self { connection, exchange, outbox: Mutex::default() }
    }

    /// When what begins now has to be done.
    pub(super) fn until(&self) -> Option<Instant> {
        self.exchange.options.deadline.map(|deadline| instant_after(Instant::now(), deadline))
    }

    /// When the session wants to be looked after; what is due now is done, and what it has to say is written as far as that goes at once.
    pub(super) fn due(&self) -> Result<Option<Instant>> {
        let (due, has_answer) = self.exchange.tend()?;
        if has_answer {
            match self.outbox.try_lock() {
                // Whoever is writing takes it along.
                Err(TryLockError::WouldBlock) => {}
                Ok(outbox) => drop(self.write(outbox, Limit::Now)),
                Err(TryLockError::Poisoned(outbox)) => drop(self.write(outbox.into_inner(), Limit::Now)),
            }
        }
        Ok(due.map(|due| instant_after(Instant::now(), due)))
    }

    /// How many bytes were given to be written and were not, and how many the session has besides.
    pub(super) fn unwritten(&self) -> (usize, usize) {
        let outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        (outbox.bytes.len() - outbox.written, self.exchange.session().pending())
    }

    pub(super) fn flush(&self, limit: Limit) -> Result<()> {
        self.write(self.outbox.lock().unwrap_or_else(PoisonError::into_inner), limit)
    }

    fn write(&self, mut outbox: MutexGuard<'_, Outbox>, limit: Limit) -> Result<()> {
        let mut until = None;
        loop {
            let Outbox { bytes, written, lost } = &mut *outbox;
            if let Some((kind, text)) = lost {
                return Err(Error::new(*kind, text.clone()));
            }
            if *written == bytes.len() {
                bytes.clear();
                *written = 0;
                self.exchange.session().take_output(bytes);
                if bytes.is_empty() {
                    return Ok(());
                }
            }
            match self.write_some(&bytes[*written..], limit, &mut until) {
                Ok(count) => *written += count,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    let text = format!(
                        "{} bytes could not be written in time: the other side does not read",
                        bytes.len() - *written
                    );
                    return Err(Error::new(Kind::Timeout, text));
                }
                Err(error) => {
                    let error = self.connection.explain(error);
                    if matches!(error.kind(), Kind::Disconnected | Kind::PeerDied) {
                        *lost = Some((error.kind(), error.to_string()));
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Writes what goes at once, or waits for that. `until` is when the limit is reached, once somebody had to ask: whoever need not wait reads no clock.
    fn write_some(&self, bytes: &[u8], limit: Limit, until: &mut Option<Instant>) -> io::Result<usize> {
        let is_late = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
        let now = Some(Duration::ZERO);
        let count = match self.connection.write_within(bytes, now) {
            Err(error) if is_late(&error) && !matches!(limit, Limit::Now) => {
                return self.connection.write_within(bytes, self.left(limit, until));
            }
            written => written?,
        };
        if !matches!(limit, Limit::Now) && self.connection.flush_within(now).is_err_and(|error| is_late(&error)) {
            // What was taken is written, whether or not it has left in time. Whoever writes more finds out.
            let _ = self.connection.flush_within(self.left(limit, until));
        }
        Ok(count)
    }

    fn left(&self, limit: Limit, until: &mut Option<Instant>) -> Option<Duration> {
        let now = Instant::now();
        let until = match limit {
            Limit::Now => now,
            Limit::At(at) => at,
            Limit::Deadline => *until.get_or_insert(instant_after(now, self.exchange.options.deadline?)),
        };
        Some(until.saturating_duration_since(now))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.exchange.session().goodbye("");
        let _ = self.flush(Limit::Now);
    }
}
