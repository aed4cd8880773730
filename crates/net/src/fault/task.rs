//! A connection that misbehaves on purpose, for tokio.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use crosstie_core::fault::Taken;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep_until},
};

use super::{
    direction::{Inbound, Outbound},
    frames::Next,
    log::cut_error,
    queue::{End, Pop},
};
use crate::transport::AsyncStream;

/// As [`FaultyStream`](super::stream::FaultyStream). Who waits for a time waits for tokio's timer.
pub(super) struct FaultyTask {
    /// `None` once it was cut.
    inner: Option<Box<dyn AsyncStream>>,
    inbound: Inbound,
    outbound: Outbound,
    cut: Option<Taken>,
    reading: Alarm,
    writing: Alarm,
}

/// A timer that is set again and again, and the task that waits.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
}

impl Alarm {
    /// Ready once it is `due`.
    fn poll(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let due = due.into();
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl FaultyTask {
    pub(super) fn new(inner: Box<dyn AsyncStream>, inbound: Inbound, outbound: Outbound, cut: Option<Taken>) -> Self {
        let (reading, writing) = (Alarm::default(), Alarm::default());
        Self { inner: Some(inner), inbound, outbound, cut, reading, writing }
    }

    fn cut(&mut self, taken: Taken) -> io::Error {
        self.inner = None;
        // Whoever waits for the other direction waits for something that is gone.
        self.reading.wake();
        self.writing.wake();
        cut_error(Some(*self.cut.get_or_insert(taken)))
    }

    /// Writes what waits for nothing any more. When there is more to write.
    fn tend(&mut self, cx: &mut Context<'_>) -> Option<Instant> {
        loop {
            let (owed, due) = self.outbound.owed(Instant::now());
            let Some(inner) = self.inner.as_mut().filter(|_| !owed.is_empty()) else { return due };
            // Who waits for room is asked again, for the connection remembers one task alone.
            self.writing.wake();
            match Pin::new(inner).poll_write(cx, owed) {
                Poll::Ready(Ok(count)) if count > 0 => self.outbound.wrote(count),
                _ => return due,
            }
        }
    }
}

impl AsyncRead for FaultyTask {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let owed = this.tend(cx);
            if this.inner.is_none() {
                return Poll::Ready(Err(cut_error(this.cut)));
            }
            let now = Instant::now();
            match this.inbound.pop(buf.initialize_unfilled(), now) {
                Pop::Read(count) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Pop::Ended(End::Finished) => return Poll::Ready(Ok(())),
                Pop::Ended(End::Failed(error)) => return Poll::Ready(Err(error)),
                Pop::Ended(End::Cut(taken)) => return Poll::Ready(Err(this.cut(taken))),
                Pop::Wait | Pop::Empty => {}
            }
            if let Some(inner) = this.inner.as_mut().filter(|_| this.inbound.has_room()) {
                let mut scratch = ReadBuf::new(this.inbound.scratch());
                match Pin::new(inner).poll_read(cx, &mut scratch) {
                    Poll::Ready(Ok(())) => {
                        let count = scratch.filled().len();
                        this.inbound.came(count, now);
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        this.inbound.ended(End::Failed(error), now);
                        continue;
                    }
                    Poll::Pending => {}
                }
            }
            this.reading.waker = Some(cx.waker().clone());
            let Some(due) = [this.inbound.due(now), owed].into_iter().flatten().min() else { return Poll::Pending };
            if this.reading.poll(due, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for FaultyTask {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        loop {
            let Some(inner) = this.inner.as_mut() else { return Poll::Ready(Err(cut_error(this.cut))) };
            this.writing.waker = Some(cx.waker().clone());
            let count = match this.outbound.next(bytes, Instant::now()) {
                Next::Write(bytes) => match Pin::new(inner).poll_write(cx, bytes) {
                    Poll::Ready(Ok(count)) if count > 0 => count,
                    other => return other,
                },
                Next::Wait(due) => {
                    if this.writing.poll(due, cx).is_pending() {
                        return Poll::Pending;
                    }
                    continue;
                }
                Next::Done(count) => return Poll::Ready(Ok(count)),
                Next::Cut(taken, done) => {
                    let error = this.cut(taken);
                    return Poll::Ready(if done > 0 { Ok(done) } else { Err(error) });
                }
            };
            this.outbound.wrote(count);
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let cut = self.cut;
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_flush(cx),
            None => Poll::Ready(Err(cut_error(cut))),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbound.finish();
        self.tend(cx);
        let cut = self.cut;
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_shutdown(cx),
            None => Poll::Ready(Err(cut_error(cut))),
        }
    }
}
