//! What every kind of line is: an end that sends and receives messages of one size.

use std::time::Duration;

use crosstie_core::{Endpoint, Error};

/// How long anything may take before the measurement is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What has not come this long after it was sent is lost, where that can be.
pub(crate) const LOST: Duration = Duration::from_millis(250);

/// Reads where something is. It was written by this program, for its other end.
pub(crate) fn place(text: &str) -> Result<Endpoint, Error> {
    let endpoint = text.parse::<Endpoint>();
    endpoint
        .map(Endpoint::trusted)
        .map_err(|error| Error::new(crosstie_core::Kind::InvalidInput, format!("{text}: {error}")))
}

/// One end of a line. Sending and receiving block.
pub(crate) trait Line {
    /// Sends one message, or keeps it for [`Line::flush`].
    fn send(&mut self, message: &[u8]) -> Result<(), Error>;

    /// Takes one message as long as `message`. False if none came for so long that it must be lost.
    fn receive(&mut self, message: &mut [u8]) -> Result<bool, Error>;

    /// Has what was kept leave.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The longest message.
    fn max_len(&self) -> usize {
        usize::MAX
    }
}
