//! Signals: what they mean to a server, and how to send one.

use std::{io, path::Path, thread};

use crosstie_core::{Error, Kind};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator,
};

use super::pid_file::MAX_PID_FILE;
use crate::regular_file::read_regular_file;

/// What a signal asks a server to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalCommand {
    /// End at once, without any courtesy (SIGKILL).
    Stop,
    /// Close every connection and end (SIGINT).
    Quit,
    /// The same, as a supervisor asks for it (SIGTERM).
    Term,
    /// Open the log file anew (SIGUSR1).
    Reopen,
    /// Read the configuration again (SIGHUP).
    Reload,
    /// Lame duck mode: let clients move away, then end (SIGUSR2).
    LameDuck,
}

/// Every command with its name and its signal.
const COMMANDS: [(&str, SignalCommand, Signal); 6] = [
    ("stop", SignalCommand::Stop, Signal::KILL),
    ("quit", SignalCommand::Quit, Signal::INT),
    ("term", SignalCommand::Term, Signal::TERM),
    ("reopen", SignalCommand::Reopen, Signal::USR1),
    ("reload", SignalCommand::Reload, Signal::HUP),
    ("ldm", SignalCommand::LameDuck, Signal::USR2),
];

impl SignalCommand {
    /// The command with this name: `stop`, `quit`, `term`, `reopen`, `reload` or `ldm`.
    pub fn from_name(name: &str) -> Option<Self> {
        COMMANDS.iter().find(|(known, ..)| *known == name).map(|(_, command, _)| *command)
    }

    fn signal(self) -> Signal {
        COMMANDS
            .iter()
            .find(|(_, command, _)| *command == self)
            .map(|(.., signal)| *signal)
            .expect("every command is in the table")
    }
}

/// Sends the signal of `command` to the process whose id is `process`, or stands in the file of that name.
///
/// # Errors
///
/// [`Kind::InvalidInput`] if there is no such id; [`Kind::Io`] with the operating system's reason.
pub fn send_signal(command: SignalCommand, process: &str) -> Result<(), Error> {
    let number = match process.parse::<i32>() {
        Ok(number) => number,
        Err(_) => pid_in(Path::new(process))?,
    };
    // Zero and below would mean whole process groups.
    let pid = (number > 0)
        .then(|| Pid::from_raw(number))
        .flatten()
        .ok_or_else(|| Error::new(Kind::InvalidInput, format!("expected the id of a process, found {number}")))?;
    kill_process(pid, command.signal()).map_err(|error| {
        Error::new(Kind::Io, format!("cannot signal process {number}")).because(io::Error::from(error))
    })
}

fn pid_in(path: &Path) -> Result<i32, Error> {
    let text = read_regular_file(path, MAX_PID_FILE).map_err(|error| {
        let what = format!("'{}' is neither a process id nor a pid file that can be read", path.display());
        Error::new(Kind::InvalidInput, what).because(error)
    })?;
    text.trim().parse().map_err(|_| {
        let what = format!("expected a process id in '{}', found '{}'", path.display(), text.trim());
        Error::new(Kind::InvalidInput, what)
    })
}

/// The thread that receives the signals of this process. They lose their usual effect as long as this value lives.
pub(crate) struct Signals {
    handle: iterator::Handle,
    thread: Option<thread::JoinHandle<()>>,
}

impl Signals {
    /// Hears signals from now on, and hands them to `act`.
    pub(crate) fn listen(mut act: impl FnMut(SignalCommand) + Send + 'static) -> Result<Self, Error> {
        let mut signals = iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2])?;
        let handle = signals.handle();
        let hear = move || {
            for signal in signals.forever() {
                act(match signal {
                    SIGHUP => SignalCommand::Reload,
                    SIGUSR1 => SignalCommand::Reopen,
                    SIGUSR2 => SignalCommand::LameDuck,
                    SIGTERM => SignalCommand::Term,
                    _ => SignalCommand::Quit,
                });
            }
        };
        let thread = thread::Builder::new().name("crosstie-signals".into()).spawn(hear)?;
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has said so already.
            let _ = thread.join();
        }
    }
}
