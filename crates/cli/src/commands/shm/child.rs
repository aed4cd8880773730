//! A command that runs while a lock is held: a signal that is to end us is for it to heed, and we end when it has.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{Command, ExitStatus},
    thread,
};

use rustix::{
    process::{Pid, PidfdFlags, Signal, getpgrp, pidfd_open, pidfd_send_signal},
    termios::tcgetpgrp,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// Runs `command` to its end. Until then SIGHUP, SIGINT and SIGTERM are passed on to it and do not end this process.
pub(super) fn run(command: &mut Command) -> io::Result<ExitStatus> {
    // Before it is there, so that no signal finds it running and us gone.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let mut child = command.spawn()?;
    // It is our child and has not been waited for, so the number is its own.
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let handle = signals.handle();
    let passing = thread::spawn(move || signals.forever().for_each(|signal| pass_on(&process, signal)));
    let status = child.wait();
    handle.close();
    // It does nothing that can panic, and what it could not pass on no longer matters.
    let _ = passing.join();
    status
}

fn pass_on(process: &OwnedFd, signal: i32) {
    // A terminal has sent its Ctrl-C to all of them already.
    if signal == SIGINT && tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground == getpgrp()) {
        return;
    }
    if let Some(signal) = Signal::from_named_raw(signal) {
        // It may have ended just now.
        let _ = pidfd_send_signal(process, signal);
    }
}

/// The code with which a shell would tell how a command ended.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}
