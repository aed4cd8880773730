//! How far it has got, on a line of a terminal that is written again and again.

use std::{
    io::{self, Write},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::join::{Meter, Side};
use crate::values::size_text;

const EVERY: Duration = Duration::from_millis(250);

/// A thread that shows what a meter says, until it is dropped. Then the line is gone.
pub(super) struct Progress {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    pub(super) fn show(meter: Arc<Meter>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let (begun, mut before, mut at) = (Instant::now(), 0, Instant::now());
            while stopped.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                let (total, now) = (meter.total(), Instant::now());
                let rate = (total - before) as f64 / now.duration_since(at).as_secs_f64();
                (before, at) = (total, now);
                let line = format!(
                    "\r\u{1b}[K{} from a to b, {} from b to a, {} s, {}/s",
                    size_text(meter.from(Side::A)),
                    size_text(meter.from(Side::B)),
                    begun.elapsed().as_secs(),
                    size_text(rate as u64)
                );
                // Nobody to tell is no failure.
                let _ = io::stderr().write_all(line.as_bytes());
            }
            let _ = io::stderr().write_all(b"\r\x1b[K");
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
