//! What the two halves of a channel for tasks write through.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use crosstie_core::{Error, Kind, Result, instant_after};
use crosstie_net::AsyncWriter;
use tokio::{
    io::AsyncWrite,
    sync::Mutex,
    time::{Instant, timeout_at},
};

use crate::shared::Exchange;

/// What both halves hold.
pub(crate) struct Line {
    pub(crate) exchange: Exchange,
    outbox: Mutex<Outbox>,
}

/// What is being written.
struct Outbox {
    writer: AsyncWriter,
    bytes: Vec<u8>,
    written: usize,
}

impl Line {
    pub(crate) fn new(exchange: Exchange, writer: AsyncWriter) -> Self {
        Self { exchange, outbox: Mutex::new(Outbox { writer, bytes: Vec::new(), written: 0 }) }
    }

    pub(crate) fn until(&self) -> Option<Instant> {
        self.exchange.options.deadline.map(|deadline| instant_after(Instant::now(), deadline))
    }

    /// When the session wants to be looked after; what is due now is done.
    pub(crate) fn due(&self) -> Result<Option<Instant>> {
        let (due, has_answer) = self.exchange.tend()?;
        if has_answer {
            // What is wrong with the connection shows to who writes or reads.
            let _ = self.write_some();
        }
        Ok(due.map(|due| instant_after(Instant::now(), due)))
    }

    pub(crate) async fn flush(&self, until: Option<Instant>) -> Result<()> {
        let mut outbox = self.outbox.lock().await;
        let write = poll_fn(|cx| outbox.poll_write(&self.exchange, cx));
        let written = match until {
            None => write.await,
            Some(until) => match timeout_at(until, write).await {
                Ok(written) => written,
                Err(_) => {
                    let left = outbox.bytes.len() - outbox.written;
                    let text = format!("{left} bytes could not be written in time: the other side does not read");
                    return Err(Error::new(Kind::Timeout, text));
                }
            },
        };
        match written {
            Ok(()) => Ok(()),
            Err(error) => Err(outbox.writer.explain(error).await),
        }
    }

    /// Writes what the session has to say of itself, as far as that goes at once.
    pub(crate) fn answer(&self) {
        if self.exchange.session().pending() > 0 {
            let _ = self.write_some();
        }
    }

    /// Writes what waits as far as that goes at once, unless somebody is at it, who takes it along. How many bytes were given to be written and were
    /// not, and how many the session has besides.
    pub(crate) fn write_some(&self) -> io::Result<(usize, usize)> {
        let mut left = 0;
        if let Ok(mut outbox) = self.outbox.try_lock() {
            if let Poll::Ready(written) = outbox.poll_write(&self.exchange, &mut Context::from_waker(Waker::noop())) {
                written?;
            }
            left = outbox.bytes.len() - outbox.written;
        }
        Ok((left, self.exchange.session().pending()))
    }
}

impl Outbox {
    /// Ready once nothing waits.
    fn poll_write(&mut self, exchange: &Exchange, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.written == self.bytes.len() {
                self.bytes.clear();
                self.written = 0;
                exchange.session().take_output(&mut self.bytes);
                if self.bytes.is_empty() {
                    return Pin::new(&mut self.writer).poll_flush(cx);
                }
            }
            match Pin::new(&mut self.writer).poll_write(cx, &self.bytes[self.written..]) {
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.exchange.session().goodbye("");
        self.answer();
    }
}
