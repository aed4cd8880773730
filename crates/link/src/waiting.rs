//! How much waits to be written, as the half that sends knows it.

use crate::ChannelOptions;

/// What was taken and has not been written. The other half may have written some of it meanwhile, so it is at least as much as there is.
#[derive(Debug)]
pub(crate) struct Waiting {
    messages: u32,
    /// Bytes that were given to be written and did not go.
    left: usize,
    bytes: usize,
    /// From so many bytes on it is worth a try.
    worth: usize,
}

/// So many bytes are written at a time, so that the other side works on them while this one makes more.
const PIECE: usize = 32 * 1024;

impl Default for Waiting {
    fn default() -> Self {
        Self { messages: 0, left: 0, bytes: 0, worth: PIECE }
    }
}

impl Waiting {
    /// One more message: so many bytes are `pending` now besides those that did not go.
    #[inline]
    pub(crate) const fn add(&mut self, pending: usize) {
        self.messages += 1;
        self.bytes = self.left + pending;
    }

    /// True if nothing more is to be taken before some of it is written.
    #[inline]
    pub(crate) fn is_full(&self, options: &ChannelOptions) -> bool {
        options.window.is_some_and(|window| self.messages >= window) || self.bytes >= options.buffer
    }

    /// True if there is a piece more than when it was last tried.
    #[inline]
    pub(crate) const fn is_worth_writing(&self) -> bool {
        self.bytes >= self.worth
    }

    /// All was written.
    pub(crate) fn went(&mut self) {
        *self = Self::default();
    }

    /// It was tried, and so much did not go.
    pub(crate) const fn stayed(&mut self, left: usize, pending: usize) {
        (self.left, self.bytes) = (left, left + pending);
        self.worth = self.bytes + PIECE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_is_tried_again_a_piece_later_and_counts_until_it_is_full() {
        let options = ChannelOptions { buffer: 4 * PIECE, ..ChannelOptions::default() };
        let mut waiting = Waiting::default();
        waiting.add(PIECE - 1);
        assert!(!waiting.is_worth_writing());
        waiting.add(PIECE);
        assert!(waiting.is_worth_writing());
        waiting.stayed(PIECE, 0);
        waiting.add(PIECE - 1);
        assert!(!waiting.is_worth_writing() && !waiting.is_full(&options));
        waiting.add(PIECE);
        assert!(waiting.is_worth_writing());
        waiting.add(3 * PIECE - 1);
        assert!(!waiting.is_full(&options));
        waiting.add(3 * PIECE);
        assert!(waiting.is_full(&options));
        waiting.went();
        assert!(!waiting.is_full(&options) && !waiting.is_worth_writing());
    }

    #[test]
    fn a_window_counts_messages() {
        let options = ChannelOptions { window: Some(2), ..ChannelOptions::default() };
        let mut waiting = Waiting::default();
        waiting.add(10);
        assert!(!waiting.is_full(&options));
        waiting.stayed(5, 5);
        waiting.add(20);
        assert!(waiting.is_full(&options));
    }
}
