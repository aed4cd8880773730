//! One message of a channel in one datagram: all that its receiver needs stands in it, since nobody has said hello.

use crosstie_core::{Codec, Error, Headers, Kind, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::{Violation, block, hello};

/// What each datagram of a channel begins with.
pub const DATAGRAM_MAGIC: [u8; 4] = *b"\x89TID";
/// Bytes before the parts that its flags announce.
pub const DATAGRAM_HEAD: usize = 28;
/// The longest description that is sent or taken.
pub const MAX_DESCRIPTION: usize = 8 * 1024;
/// The version of this format.
const VERSION: u8 = 1;
/// Where what is checked begins.
const CHECKED: usize = 8;

const HEADERS: u8 = 1;
const COMPRESSED: u8 = 2;
const SCHEMA: u8 = 4;
const DESCRIBED: u8 = 8;
const KNOWN_FLAGS: u8 = HEADERS | COMPRESSED | SCHEMA | DESCRIBED;

/// A message as it lies in its datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// How the payload is written.
    pub codec: Codec,
    /// From 1 at each sender.
    pub number: u64,
    /// What the sender has drawn for itself.
    pub sender: u64,
    /// The hash of its type's schema; none if that has no schema.
    pub schema: Option<[u8; 16]>,
    /// The text of the schema, with some messages. It has a hash.
    pub description: Option<&'a str>,
    /// Control information.
    pub headers: Headers,
    /// The length before compression, as the sender says; none if the payload is not compressed.
    pub inflated: Option<usize>,
    /// The data.
    pub payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads one, which is all of `bytes`.
    ///
    /// # Errors
    ///
    /// [`Violation`]: it is no datagram of a channel, was changed on its way, or is one of a later version. Nothing follows from it for the next.
    pub fn parse(bytes: &'a [u8]) -> std::result::Result<Self, Violation> {
        let there = bytes.len().min(DATAGRAM_MAGIC.len());
        if bytes[..there] != DATAGRAM_MAGIC[..there] || there == 0 {
            let begins: Vec<u8> = bytes.iter().copied().take(16).collect();
            return Err(Violation::Datagram(begins.escape_ascii().to_string()));
        }
        let short = Violation::Short { what: "head of a datagram", expected: DATAGRAM_HEAD, found: bytes.len() };
        let (head, mut body) = bytes.split_first_chunk::<DATAGRAM_HEAD>().ok_or(short)?;
        let [_, _, _, _, c0, c1, c2, c3, version, flags, codec, zero, numbers @ ..] = *head;
        let (expected, found) = (u32::from_le_bytes([c0, c1, c2, c3]), check(&bytes[CHECKED..]));
        if expected != found {
            return Err(Violation::Check { expected, found });
        }
        let unknown = |what, found: u8| Violation::Unknown { what, found: found.into() };
        if version != VERSION {
            return Err(unknown("a datagram of version", version));
        }
        if flags & !KNOWN_FLAGS != 0 || flags & (SCHEMA | DESCRIBED) == DESCRIBED {
            return Err(unknown("datagram flags", flags));
        }
        if zero != 0 {
            return Err(unknown("reserved byte", zero));
        }
        let codec = hello::coded(codec).ok_or_else(|| unknown("codec", codec))?;
        let (number, sender) = numbers.split_at(8);
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("sixteen bytes are two of eight"));
        let (number, sender) = (word(number), word(sender));
        if number == 0 {
            return Err(Violation::Text("a message has the number 0, expected 1 and higher".to_owned()));
        }
        let schema = if flags & SCHEMA != 0 { Some(take_hash(&mut body)?) } else { None };
        let description = if flags & DESCRIBED != 0 { Some(take_description(&mut body)?) } else { None };
        let headers = if flags & HEADERS != 0 { block::take(&mut body)? } else { Headers::new() };
        let inflated = if flags & COMPRESSED != 0 {
            Some(block::take_length(&mut body, "length before compression")?)
        } else {
            None
        };
        Ok(Self { codec, number, sender, schema, description, headers, inflated, payload: body })
    }

    /// Appends it.
    ///
    /// # Errors
    ///
    /// `TooLarge` for more than 64 KiB of headers: nothing is appended.
    pub fn append(&self, out: &mut Vec<u8>) -> Result<()> {
        block::check(&self.headers)?;
        let description = self.description.filter(|text| self.schema.is_some() && text.len() <= MAX_DESCRIPTION);
        let start = out.len();
        let flag = |is: bool, flag| if is { flag } else { 0 };
        let flags = flag(!self.headers.is_empty(), HEADERS)
            | flag(self.inflated.is_some(), COMPRESSED)
            | flag(self.schema.is_some(), SCHEMA)
            | flag(description.is_some(), DESCRIBED);
        let mut head = [0; DATAGRAM_HEAD];
        head[..4].copy_from_slice(&DATAGRAM_MAGIC);
        (head[8], head[9], head[10]) = (VERSION, flags, hello::code(self.codec));
        head[12..20].copy_from_slice(&self.number.to_le_bytes());
        head[20..].copy_from_slice(&self.sender.to_le_bytes());
        out.extend_from_slice(&head);
        if let Some(schema) = &self.schema {
            out.extend_from_slice(schema);
        }
        if let Some(text) = description {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        if !self.headers.is_empty() {
            block::put(&self.headers, out);
        }
        if let Some(inflated) = self.inflated {
            let Ok(inflated) = u32::try_from(inflated) else {
                out.truncate(start);
                return Err(Error::new(Kind::TooLarge, format!("a payload of {inflated} bytes: split it")));
            };
            out.extend_from_slice(&inflated.to_le_bytes());
        }
        out.extend_from_slice(self.payload);
        let check = check(&out[start + CHECKED..]);
        out[start + 4..start + CHECKED].copy_from_slice(&check.to_le_bytes());
        Ok(())
    }
}

fn check(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}

fn take_hash(body: &mut &[u8]) -> std::result::Result<[u8; 16], Violation> {
    let short = Violation::Short { what: "schema hash", expected: 16, found: body.len() };
    let (hash, rest) = body.split_first_chunk::<16>().ok_or(short)?;
    *body = rest;
    Ok(*hash)
}

fn take_description<'a>(body: &mut &'a [u8]) -> std::result::Result<&'a str, Violation> {
    let length = block::take_length(body, "length of the description")?;
    if length > MAX_DESCRIPTION {
        return Err(Violation::Text(format!("a description has {length} bytes, at most {MAX_DESCRIPTION} are taken")));
    }
    let short = Violation::Short { what: "description", expected: length, found: body.len() };
    let (text, rest) = body.split_at_checked(length).ok_or(short)?;
    *body = rest;
    std::str::from_utf8(text).map_err(|_| Violation::Text("a description is no UTF-8 text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram() -> Datagram<'static> {
        let mut headers = Headers::new();
        headers.append("Trace", "7").unwrap();
        Datagram {
            codec: Codec::Cbor,
            number: 0x0102_0304_0506_0708,
            sender: 0x1112_1314_1516_1718,
            schema: Some([9; 16]),
            description: Some("u32"),
            headers,
            inflated: Some(300),
            payload: b"payload",
        }
    }

    fn bytes(datagram: &Datagram<'_>) -> Vec<u8> {
        let mut out = b"before".to_vec();
        datagram.append(&mut out).unwrap();
        out.split_off(6)
    }

    #[test]
    fn what_was_appended_is_read_and_the_bytes_stay_those_of_version_1() {
        let found = bytes(&datagram());
        assert_eq!(found[..4], *b"\x89TID");
        assert_eq!(found[4..8], GOLDEN_CHECK, "the check of version 1 is XXH3-64, its low half");
        assert_eq!(found[8..28], *b"\x01\x0f\x04\0\x08\x07\x06\x05\x04\x03\x02\x01\x18\x17\x16\x15\x14\x13\x12\x11");
        assert_eq!(found[28..44], [9; 16]);
        assert_eq!(found[44..], *b"\x03\0\0\0u32\x0a\0\0\0Trace: 7\r\n\x2c\x01\0\0payload");
        assert_eq!(Datagram::parse(&found), Ok(datagram()));
        let plain = Datagram {
            codec: Codec::Raw,
            schema: None,
            description: None,
            headers: Headers::new(),
            inflated: None,
            payload: b"",
            ..datagram()
        };
        assert_eq!(bytes(&plain).len(), DATAGRAM_HEAD);
        assert_eq!(Datagram::parse(&bytes(&plain)), Ok(plain));
    }

    const GOLDEN_CHECK: [u8; 4] = [116, 208, 78, 57];

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let whole = bytes(&datagram());
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Datagram::parse(&changed).is_err(), "bit {bit}");
        }
        assert!((0..whole.len()).all(|cut| Datagram::parse(&whole[..cut]).is_err()));
    }

    #[test]
    fn what_is_no_datagram_of_a_channel_is_told_from_what_is_of_a_later_version() {
        let stray = Datagram::parse(b"GET / HTTP/1.1\r\n").unwrap_err().to_string();
        assert!(stray.contains("GET / HTTP/1.1"), "{stray}");
        assert!(matches!(Datagram::parse(b""), Err(Violation::Datagram(_))));
        let forged = |at: usize, value: u8| {
            let mut bytes = bytes(&datagram());
            bytes[at] = value;
            let right = check(&bytes[CHECKED..]).to_le_bytes();
            bytes[4..8].copy_from_slice(&right);
            Datagram::parse(&bytes).unwrap_err().to_string()
        };
        assert!(forged(8, 2).contains("version 2"));
        assert!(forged(9, 0x80).contains("flags 128"));
        assert!(forged(9, DESCRIBED).contains("flags 8"), "a description without its hash");
        assert!(forged(10, 77).contains("codec 77"));
        assert!(forged(11, 1).contains("reserved"));
        assert!(forged(45, 0xFF).contains("65283 bytes"), "the length of the description");
    }
}
