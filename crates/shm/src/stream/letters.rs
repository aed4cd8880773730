//! Letters over the bytes of a stream: each is written whole or not at all, and read whole or dropped whole.
//!
//! A letter is its length as a little-endian u32 and its bytes. Both become visible by one store of the writer's position, so whoever dies while writing has
//! written nothing, and a reader never finds a part of one. A length that leads beyond what was written is a broken rule.

use std::io;

use super::{
    flow::{Found, Position, Wakes},
    memory::{StreamMemory, lock, told},
};

/// Bytes of the length.
const LENGTH: usize = 4;

impl StreamMemory {
    /// The longest letter: it has the ring for itself.
    pub fn longest_letter(&self) -> usize {
        usize::try_from(self.capacity).expect("a capacity below 2^31") - LENGTH
    }

    /// Writes one letter, whole.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room for all of it, and nothing was written; `InvalidInput` beyond [`Self::longest_letter`]; `BrokenPipe` and `InvalidData`
    /// as [`Self::try_write`].
    pub fn try_write_letter(&self, letter: &[u8]) -> io::Result<Wakes> {
        let ring = self.outbound();
        let flow = ring.flow();
        let mut position = lock(&self.writing);
        if flow.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if letter.len() > self.longest_letter() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let wanted = size(letter.len());
        if flow.room(&mut position, wanted).map_err(|broken| told(broken, &position))? < wanted {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = u32::try_from(letter.len()).expect("shorter than the capacity").to_le_bytes();
        self.copy_in(ring, position.own, &length);
        self.copy_in(ring, position.own + LENGTH as u64, letter);
        Ok(flow.publish(&mut position, wanted))
    }

    /// Takes the next letter, and says how long it is. One that is longer than `buf` is taken all the same, and what is in `buf` then is nothing.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is there; `UnexpectedEof` if none will come; `InvalidData` if the other side broke the rules.
    pub fn try_read_letter(&self, buf: &mut [u8]) -> io::Result<(usize, Wakes)> {
        let ring = self.inbound();
        let flow = ring.flow();
        let mut position = lock(&self.reading);
        let there = match flow.found(&mut position).map_err(|broken| told(broken, &position))? {
            Found::Bytes(there) => there,
            Found::End => return Err(io::ErrorKind::UnexpectedEof.into()),
            Found::Nothing => return Err(io::ErrorKind::WouldBlock.into()),
        };
        let mut length = [0; LENGTH];
        if there >= LENGTH as u64 {
            self.copy_out(ring, position.own, &mut length);
        }
        let len = u32::from_le_bytes(length) as usize;
        if there < size(len) {
            return Err(too_long(len, &position));
        }
        if len <= buf.len() {
            self.copy_out(ring, position.own + LENGTH as u64, &mut buf[..len]);
        }
        Ok((len, flow.take(&mut position, size(len))))
    }

    /// Says that this side waits for room for a letter of so many bytes. True if there is room already, or never will be: then it need not.
    pub fn arm_writing_letter(&self, len: usize) -> bool {
        self.arm_writing_of(size(len))
    }
}

/// Bytes that a letter takes in the ring.
const fn size(len: usize) -> u64 {
    LENGTH as u64 + len as u64
}

fn too_long(len: usize, position: &Position) -> io::Error {
    let there = position.theirs - position.own;
    let text = format!("the other side broke the rules of letters: one of {len} bytes, where {there} were written");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;

    fn pair() -> (StreamMemory, StreamMemory) {
        let (maker, file) = StreamMemory::create(4096).unwrap();
        (maker, StreamMemory::open(file, 4096).unwrap())
    }

    #[test]
    fn letters_come_whole_and_around_the_end() {
        let (one, other) = pair();
        let mut buf = [0; 1500];
        for round in 0..20_u8 {
            for len in [0, 1, 700, 1500] {
                let _ = one.try_write_letter(&vec![round; len]).unwrap();
            }
            for len in [0, 1, 700, 1500] {
                assert_eq!(other.try_read_letter(&mut buf).unwrap().0, len);
                assert!(buf[..len].iter().all(|byte| *byte == round));
            }
            assert_eq!(other.try_read_letter(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn one_without_room_is_not_begun_and_the_longest_has_the_ring_for_itself() {
        let (one, other) = pair();
        let longest = vec![7; one.longest_letter()];
        let _ = one.try_write_letter(b"x").unwrap();
        assert_eq!(one.try_write_letter(&longest).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(!one.arm_writing_letter(longest.len()), "it has to wait");
        assert!(one.arm_writing_letter(10), "a short one has not");
        assert!(!one.arm_writing_letter(longest.len()));
        let mut buf = vec![0; 4096];
        assert_eq!(other.try_read_letter(&mut buf).unwrap(), (1, Wakes(true)));
        let _ = one.try_write_letter(&longest).unwrap();
        assert_eq!(other.try_read_letter(&mut buf).unwrap().0, longest.len());
        assert_eq!(one.try_write_letter(&[0; 4093]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn one_that_does_not_fit_the_reader_is_dropped_whole() {
        let (one, other) = pair();
        let _ = one.try_write_letter(b"much too long").unwrap();
        let _ = one.try_write_letter(b"fits").unwrap();
        let mut buf = *b"....";
        assert_eq!(other.try_read_letter(&mut buf).unwrap().0, 13);
        assert_eq!(&buf, b"....");
        assert_eq!(other.try_read_letter(&mut buf).unwrap().0, 4);
        assert_eq!(&buf, b"fits");
    }

    #[test]
    fn the_end_comes_after_the_last_letter() {
        let (one, other) = pair();
        let _ = one.try_write_letter(b"last").unwrap();
        let _ = one.end_writing();
        let mut buf = [0; 8];
        assert_eq!(other.try_read_letter(&mut buf).unwrap().0, 4);
        assert_eq!(other.try_read_letter(&mut buf).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let _ = one.end_reading();
        assert_eq!(other.try_write_letter(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    /// What the other side may write at any time.
    #[test]
    fn a_length_beyond_what_was_written_is_an_error() {
        for bytes in [&[9, 0, 0, 0, 1, 2][..], &[0xff; 8], &[1, 0]] {
            let (one, other) = pair();
            let _ = one.try_write(&[IoSlice::new(bytes)]).unwrap();
            assert_eq!(other.try_read_letter(&mut [0; 64]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
