//! What every client library is asked to do.

use super::payloads::{Order, Payloads};
use crate::error::Result;
use crate::load::Gate;

/// A library, connected, for one run. It stays open until all is received.
pub(super) trait Client {
    /// Publishes until the gate stops it and all it published is on its way; returns how many.
    fn publish(&mut self, payloads: Payloads, gate: &Gate) -> Result<u64>;

    /// Receives, from the subscription made at the start, until `sent` tells the number and it is reached.
    fn receive(&mut self, order: Order, gate: &Gate, sent: &dyn Fn() -> Option<u64>) -> Result<()>;
}
