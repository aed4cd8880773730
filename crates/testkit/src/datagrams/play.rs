//! What a program does that was started as somebody's peer.

use std::process::ExitCode;

use super::{faults, peer};

/// Plays the peer if that is what this process was started for; then the process ends with this code.
///
/// Call it first in `main`.
pub fn play_if_asked() -> Option<ExitCode> {
    peer::play_if_asked().or_else(faults::play_if_asked)
}
