//! What a process owes its system: a log, a pid file, a ports file, and answers to signals.

mod log;
mod pid_file;
mod ports_file;
mod signals;

pub use self::signals::{SignalCommand, send_signal};
pub(crate) use self::{
    log::{Log, valid_level},
    pid_file::PidFile,
    ports_file::PortsFile,
    signals::Signals,
};
