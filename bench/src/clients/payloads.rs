//! Stamped payloads for a library that publishes, and the check of them for one that subscribes.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::wire::STAMP_LEN;

/// Messages that a library publishes between two looks at the window.
pub(super) const CHUNK: u64 = 64;

/// Payloads with a sequence number each, one allocation per [`CHUNK`] of them.
pub(super) struct Payloads {
    size: usize,
    next: u64,
    left: Bytes,
}

impl Payloads {
    pub(super) fn new(size: usize) -> Self {
        assert!(size >= STAMP_LEN, "a payload holds its stamp");
        Self { size, next: 0, left: Bytes::new() }
    }

    /// The next payload.
    pub(super) fn take(&mut self) -> Bytes {
        if self.left.is_empty() {
            let mut chunk = vec![b'x'; self.size * CHUNK as usize];
            for payload in chunk.chunks_exact_mut(self.size) {
                payload[..STAMP_LEN].copy_from_slice(&self.next.to_le_bytes());
                self.next += 1;
            }
            self.left = chunk.into();
        }
        self.left.split_to(self.size)
    }
}

/// The sequence number that has to come next.
#[derive(Default)]
pub(super) struct Order(u64);

impl Order {
    /// Checks one payload and counts it.
    pub(super) fn take(&mut self, payload: &[u8]) -> Result<u64> {
        let stamp = payload.first_chunk().map(|stamp| u64::from_le_bytes(*stamp));
        if stamp != Some(self.0) {
            return Err(Error::new(format!(
                "a library expected message {} and got {stamp:?}: lost or repeated",
                self.0
            )));
        }
        self.0 += 1;
        Ok(self.0)
    }

    pub(super) const fn count(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_in_order_and_a_gap_is_seen() {
        let (mut payloads, mut order) = (Payloads::new(16), Order::default());
        for count in 1..=200 {
            assert_eq!(order.take(&payloads.take()).unwrap(), count);
        }
        payloads.take();
        assert!(order.take(&payloads.take()).is_err());
    }
}
