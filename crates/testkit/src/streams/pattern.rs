//! Bytes that show what was lost, doubled or moved.

use std::io::{self, Read, Write};

/// A prime, so that the pattern falls differently on every power of two.
const BLOCK: usize = 1_048_573;

/// An endless text that both ends know.
pub(crate) struct Pattern {
    block: Vec<u8>,
}

impl Pattern {
    pub(crate) fn new() -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut block = Vec::with_capacity(BLOCK + 8);
        while block.len() < BLOCK {
            // Xorshift (Marsaglia, 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend(state.to_le_bytes());
        }
        block.truncate(BLOCK);
        Self { block }
    }

    /// What comes at `position`, at least one byte and at most `most`.
    fn at(&self, position: u64, most: usize) -> &[u8] {
        let start = usize::try_from(position % BLOCK as u64).expect("a place in the block");
        &self.block[start..BLOCK.min(start + most)]
    }

    /// Writes the first `total` bytes, in pieces of many lengths.
    pub(crate) fn write(&self, mut writer: impl Write, total: u64) -> io::Result<()> {
        let lengths = [1, 7, 4096, 65_536, 65_537, 13, 200_000, 1024];
        let mut position = 0;
        for length in lengths.iter().cycle() {
            let left = usize::try_from(total - position).unwrap_or(usize::MAX);
            if left == 0 {
                break;
            }
            let piece = self.at(position, left.min(*length));
            writer.write_all(piece)?;
            position += piece.len() as u64;
        }
        writer.flush()
    }

    /// True if `bytes` are those at `position`.
    pub(crate) fn is_at(&self, mut position: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let expected = self.at(position, bytes.len());
            let (came, rest) = bytes.split_at(expected.len());
            if came != expected {
                return false;
            }
            position += came.len() as u64;
            bytes = rest;
        }
        true
    }

    /// Reads to the end, or `most` bytes; how many came, or where they were wrong.
    pub(crate) fn read(&self, mut reader: impl Read, most: u64) -> io::Result<Result<u64, u64>> {
        let mut buf = vec![0; 100_000];
        let mut position = 0;
        while position < most {
            let room = buf.len().min(usize::try_from(most - position).unwrap_or(usize::MAX));
            let count = reader.read(&mut buf[..room])?;
            if count == 0 {
                break;
            }
            if !self.is_at(position, &buf[..count]) {
                return Ok(Err(position));
            }
            position += count as u64;
        }
        Ok(Ok(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_or_moved_is_seen() {
        let pattern = Pattern::new();
        let total = 3 * BLOCK as u64;
        let mut text = Vec::new();
        pattern.write(&mut text, total).unwrap();
        assert_eq!(pattern.read(&text[..], u64::MAX).unwrap(), Ok(total));
        let mut lost = text.clone();
        lost.drain(70_000..70_001);
        let mut doubled = text.clone();
        doubled.splice(70_000..70_000, text[70_000..74_096].to_vec());
        let mut moved = text.clone();
        moved[200_000..208_192].rotate_left(4096);
        for broken in [lost, doubled, moved] {
            assert!(pattern.read(&broken[..], u64::MAX).unwrap().is_err());
        }
    }
}
