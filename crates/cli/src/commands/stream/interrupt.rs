//! Signals: for a command that has something to put away before it ends, or files to read again.

use std::{convert::Infallible, fs::File, sync::Arc, thread, time::Duration};

use crosstie_core::Error;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use tokio::sync::{
    Notify,
    mpsc::{Receiver, channel},
};

use crate::{exit::Failure, output::Output};

/// How long a command has to put away what it has.
const ORDER: Duration = Duration::from_secs(2);

/// From when it is made on, SIGINT, SIGTERM and SIGHUP do not end the process but are told here.
pub(crate) struct Interrupt {
    came: Receiver<i32>,
    hangups: Hangups,
}

impl Interrupt {
    /// Where there are files to read again, SIGHUP asks for that, as it does of any server, unless there is a terminal: then it is that one's end.
    pub(crate) fn watch(has_files: bool) -> Result<Self, Failure> {
        let reloads = has_files && File::open("/dev/tty").is_err();
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let (tell, came) = channel(1);
        let hangups = Hangups::default();
        let hung_up = hangups.clone();
        thread::Builder::new().name("crosstie-signals".into()).spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP && reloads {
                    hung_up.0.notify_one();
                    continue;
                }
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
        Ok(Self { came, hangups })
    }

    /// Those that ask for files to be read again.
    pub(crate) fn hangups(&self) -> Hangups {
        self.hangups.clone()
    }

    /// The signal that came.
    pub(crate) async fn signal(&mut self) -> i32 {
        match self.came.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// SIGHUP, each time that it asks for files to be read again.
#[derive(Clone, Default)]
pub(crate) struct Hangups(Arc<Notify>);

impl Hangups {
    /// Does `reload` at each, and says how that went.
    pub(crate) async fn each(&self, output: &Output, reload: impl Fn() -> Result<(), Error>) -> Infallible {
        loop {
            self.0.notified().await;
            match reload() {
                Ok(()) => {
                    output.event("reloaded", "certificates and keys are read again, for those who come from now on")
                }
                Err(error) => output.event("not_reloaded", &format!("nothing has changed: {error}")),
            }
        }
    }
}

/// Ends the process as the signal would have done.
pub(crate) fn end_by(signal: i32) -> Failure {
    // It returns only where the signal cannot be sent.
    let _ = emulate_default_handler(signal);
    Failure::Command { code: 128_u8.wrapping_add(u8::try_from(signal).unwrap_or_default()), message: None }
}
