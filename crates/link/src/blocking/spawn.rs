//! Children with a typed channel to their parent, for threads.

use std::process::Command;

use crosstie_core::Result;
use crosstie_net::ChildProcess;

use super::Channel;
use crate::{ChannelOptions, Payload, Spawn, spawn::to_parent};

/// Starts `command` with a channel to it, as [`Spawn`] does. Blocks until both ends have agreed on types and codec.
///
/// # Errors
///
/// As [`Spawn::start`].
pub fn spawn<S: Payload, R: Payload>(command: Command) -> Result<(Channel<S, R>, ChildProcess)> {
    Spawn::new(command).start_blocking()
}

/// The channel to the process that has started this one by [`spawn`]. It is there once.
///
/// # Errors
///
/// As [`parent`](crate::parent).
pub fn parent<S: Payload, R: Payload>() -> Result<Channel<S, R>> {
    Channel::over(to_parent()?, ChannelOptions::default())
}
