//! One frame: its head, its check, and where it ends.

use xxhash_rust::xxh3::xxh3_64;

use super::Violation;

/// Bytes of the length.
pub const LENGTH: usize = 4;
/// Bytes of the whole head, the length included.
pub const HEAD: usize = 20;
/// What follows the length of a frame without a body.
const MIN_LENGTH: usize = HEAD - LENGTH;

/// A header block comes before the payload.
pub const HEADERS: u8 = 1;
/// The payload is compressed.
pub const COMPRESSED: u8 = 2;
/// A schema hash comes first in the body.
pub const SCHEMA: u8 = 4;
const KNOWN_FLAGS: u8 = HEADERS | COMPRESSED | SCHEMA;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameKind {
    /// What a side says of itself.
    Hello,
    /// A message.
    Message,
    /// No more messages from this side.
    Finish,
    /// This side is done.
    Goodbye,
    /// There will be no channel.
    Refused,
    /// Are you there?
    Ping,
    /// I am.
    Pong,
}

impl FrameKind {
    const ALL: [Self; 7] =
        [Self::Hello, Self::Message, Self::Finish, Self::Goodbye, Self::Refused, Self::Ping, Self::Pong];

    const fn code(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Message => 2,
            Self::Finish => 3,
            Self::Goodbye => 4,
            Self::Refused => 5,
            Self::Ping => 6,
            Self::Pong => 7,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hello => "Hello",
            Self::Message => "Message",
            Self::Finish => "Finish",
            Self::Goodbye => "Goodbye",
            Self::Refused => "Refused",
            Self::Ping => "Ping",
            Self::Pong => "Pong",
        }
    }
}

/// A whole frame, as it lies in what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: FrameKind,
    /// [`HEADERS`], [`COMPRESSED`], [`SCHEMA`].
    pub flags: u8,
    /// See `docs/frame-format.md`.
    pub number: u64,
    /// What follows the head.
    pub body: &'a [u8],
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A frame and how many bytes it takes up.
    Frame(Frame<'a>, usize),
    /// The beginning of one. So many bytes are wanted in all.
    NeedMore(usize),
}

/// Reads the frame that `bytes` begin with. One that is longer than `max` is refused as soon as its length is there.
///
/// # Errors
///
/// [`Violation`]: after it nothing in the stream can be trusted.
#[inline]
pub fn parse(bytes: &[u8], max: usize) -> Result<Parsed<'_>, Violation> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else { return Ok(Parsed::NeedMore(LENGTH)) };
    let length = u32::from_le_bytes(*length) as usize;
    let total = length.saturating_add(LENGTH);
    if total > max {
        return Err(Violation::TooLong { found: total, limit: max });
    }
    if length < MIN_LENGTH {
        return Err(Violation::Short { what: "head", expected: HEAD, found: total });
    }
    let Some(frame) = rest.get(..length) else { return Ok(Parsed::NeedMore(total)) };
    let (head, body) = frame.split_first_chunk::<MIN_LENGTH>().expect("it is as long at least");
    let [c0, c1, c2, c3, kind, flags, zero_0, zero_1, number @ ..] = *head;
    let (expected, found) = (u32::from_le_bytes([c0, c1, c2, c3]), check(&frame[4..]));
    if expected != found {
        return Err(Violation::Check { expected, found });
    }
    let unknown = |what, found| Violation::Unknown { what, found };
    let kind = FrameKind::ALL
        .into_iter()
        .find(|known| known.code() == kind)
        .ok_or_else(|| unknown("frame kind", kind.into()))?;
    if flags & !KNOWN_FLAGS != 0 || flags != 0 && kind != FrameKind::Message {
        return Err(unknown("frame flags", flags.into()));
    }
    if zero_0 != 0 || zero_1 != 0 {
        return Err(unknown("reserved bytes", u16::from_le_bytes([zero_0, zero_1]).into()));
    }
    Ok(Parsed::Frame(Frame { kind, flags, number: u64::from_le_bytes(number), body }, total))
}

/// Appends a frame whose body `write` appends. What is larger than `max` is taken back.
///
/// # Errors
///
/// The length that it would have had.
#[inline]
pub fn append(
    out: &mut Vec<u8>,
    kind: FrameKind,
    flags: u8,
    number: u64,
    max: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(), usize> {
    let start = out.len();
    let mut head = [0; HEAD];
    (head[8], head[9]) = (kind.code(), flags);
    head[12..].copy_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&head);
    write(out);
    let total = out.len() - start;
    let length = u32::try_from(total - LENGTH).ok().filter(|_| total <= max);
    let Some(length) = length else {
        out.truncate(start);
        return Err(total);
    };
    let check = check(&out[start + 8..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&check.to_le_bytes());
    Ok(())
}

#[inline]
fn check(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: FrameKind, flags: u8, number: u64, body: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        append(&mut out, kind, flags, number, usize::MAX, |out| out.extend_from_slice(body)).unwrap();
        out.split_off(6)
    }

    #[test]
    fn what_was_appended_is_read_and_the_bytes_stay_those_of_version_1() {
        let bytes = frame(FrameKind::Message, HEADERS, 0x0102_0304_0506_0708, b"body");
        assert_eq!(bytes[..4], 20u32.to_le_bytes());
        assert_eq!(bytes[8..], *b"\x02\x01\0\0\x08\x07\x06\x05\x04\x03\x02\x01body");
        assert_eq!(bytes[4..8], GOLDEN_CHECK, "the check of version 1 is XXH3-64, its low half");
        let expected = Frame { kind: FrameKind::Message, flags: HEADERS, number: 0x0102_0304_0506_0708, body: b"body" };
        assert_eq!(parse(&bytes, 1024), Ok(Parsed::Frame(expected, bytes.len())));
    }

    const GOLDEN_CHECK: [u8; 4] = [3, 49, 62, 205];

    #[test]
    fn a_frame_that_is_not_there_yet_says_how_much_is_wanted() {
        let bytes = frame(FrameKind::Ping, 0, 7, b"");
        for cut in 0..bytes.len() {
            let wanted = if cut < LENGTH { LENGTH } else { bytes.len() };
            assert_eq!(parse(&bytes[..cut], 1024), Ok(Parsed::NeedMore(wanted)));
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let bytes = frame(FrameKind::Message, 0, 7, b"some body");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let is_taken = matches!(parse(&changed, 1024), Ok(Parsed::Frame(..)));
            assert!(!is_taken, "bit {bit}");
        }
    }

    #[test]
    fn a_long_frame_is_refused_at_its_length_and_never_sent() {
        let bytes = frame(FrameKind::Message, 0, 1, &[0; 100]);
        assert_eq!(parse(&bytes[..4], 100), Err(Violation::TooLong { found: 120, limit: 100 }));
        let mut out = vec![1];
        assert_eq!(append(&mut out, FrameKind::Message, 0, 1, 119, |out| out.extend_from_slice(&[0; 100])), Err(120));
        assert_eq!(out, [1]);
    }

    #[test]
    fn what_this_version_does_not_know_is_refused() {
        let forged = |at: usize, value: u8| {
            let mut bytes = frame(FrameKind::Ping, 0, 7, b"");
            bytes[at] = value;
            let right = check(&bytes[8..]).to_le_bytes();
            bytes[4..8].copy_from_slice(&right);
            parse(&bytes, 1024).unwrap_err().to_string()
        };
        assert!(forged(8, 99).contains("frame kind 99"));
        assert!(forged(9, 0x80).contains("frame flags 128"));
        assert!(forged(9, HEADERS).contains("frame flags 1"), "only messages have flags");
        assert!(forged(10, 1).contains("reserved"));
        let short = [3, 0, 0, 0, 1, 2, 3];
        assert!(matches!(parse(&short, 1024), Err(Violation::Short { .. })));
    }
}
