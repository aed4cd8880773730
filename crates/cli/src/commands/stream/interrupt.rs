//! Signals that are to end a command which has something to put away first.

use std::{thread, time::Duration};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use tokio::sync::mpsc::{Receiver, channel};

use crate::exit::Failure;

/// How long a command has to put away what it has.
const ORDER: Duration = Duration::from_secs(2);

/// From when it is made on, SIGINT, SIGTERM and SIGHUP do not end the process but are told here.
pub(crate) struct Interrupt {
    came: Receiver<i32>,
}

impl Interrupt {
    pub(crate) fn watch() -> Result<Self, Failure> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let (tell, came) = channel(1);
        thread::Builder::new().name("crosstie-signals".into()).spawn(move || {
            for signal in signals.forever() {
                // A second one does not wait for what the first has begun.
                if tell.try_send(signal).is_err() {
                    let _ = emulate_default_handler(signal);
                    continue;
                }
                // Nor does the first for ever, as where a copy is written that nobody reads.
                let _ = thread::Builder::new().name("crosstie-ending".into()).spawn(move || {
                    thread::sleep(ORDER);
                    emulate_default_handler(signal)
                });
            }
        })?;
        Ok(Self { came })
    }

    /// The signal that came.
    pub(crate) async fn signal(&mut self) -> i32 {
        match self.came.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// Ends the process as the signal would have done.
pub(crate) fn end_by(signal: i32) -> Failure {
    // It returns only where the signal cannot be sent.
    let _ = emulate_default_handler(signal);
    Failure::Command { code: 128_u8.wrapping_add(u8::try_from(signal).unwrap_or_default()), message: None }
}
