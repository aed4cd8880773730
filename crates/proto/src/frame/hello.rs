//! What each side says of itself before anything else.

use crosstie_core::Codec;

use super::{DEFAULT_MAX_FRAME, MAX_FRAME_BOUNDS, MAX_HELLO, VERSION, Violation};

/// The longest text of a schema.
const MAX_SCHEMA: usize = 64 * 1024;
/// The longest name of a process, and its identity.
const MAX_NAME: usize = 256;
/// A field with this bit may be ignored by whoever does not know it.
const MAY_BE_IGNORED: u16 = 0x8000;

const VERSIONS: u16 = 1;
const MAX_FRAME: u16 = 2;
const WRITES: u16 = 3;
const COMPRESSION: u16 = 4;
const SENDS: u16 = 5;
const RECEIVES: u16 = 6;
const READS: u16 = 7;
const NAME: u16 = 0x8001;
const IDENTITY: u16 = 0x8002;

/// The one compression there is.
const ZSTD: u8 = 1;

/// A type as it is told to the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Of the text, the most significant byte first.
    pub hash: [u8; 16],
    /// `docs/schemas.md`
    pub text: String,
}

/// What a side says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// The lowest and the highest version.
    pub versions: (u16, u16),
    /// The longest frame that it takes.
    pub max_frame: usize,
    /// The codecs that it can write, the favourite first.
    pub writes: Vec<Codec>,
    /// The codecs that it can read.
    pub reads: Vec<Codec>,
    /// It can undo zstd.
    pub zstd: bool,
    /// The type that it sends; none if that has no schema.
    pub sends: Option<Described>,
    /// The type that it receives.
    pub receives: Option<Described>,
    /// Of its process, for people.
    pub name: String,
    /// Of its process, for good.
    pub identity: String,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            versions: (VERSION, VERSION),
            max_frame: DEFAULT_MAX_FRAME,
            writes: Vec::new(),
            reads: Vec::new(),
            zstd: false,
            sends: None,
            receives: None,
            name: String::new(),
            identity: String::new(),
        }
    }
}

impl Hello {
    /// Appends its fields.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut field = |tag: u16, value: &[u8]| {
            out.extend_from_slice(&tag.to_le_bytes());
            out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(value);
        };
        let (lowest, highest) = self.versions;
        field(VERSIONS, &[lowest.to_le_bytes(), highest.to_le_bytes()].concat());
        field(MAX_FRAME, &u32::try_from(self.max_frame).unwrap_or(u32::MAX).to_le_bytes());
        field(WRITES, &codes(&self.writes));
        field(COMPRESSION, if self.zstd { &[ZSTD] } else { &[] });
        field(SENDS, &describe(self.sends.as_ref()));
        field(RECEIVES, &describe(self.receives.as_ref()));
        field(READS, &codes(&self.reads));
        field(NAME, self.name.as_bytes());
        field(IDENTITY, self.identity.as_bytes());
    }

    /// True if the other side would take it.
    pub(super) fn fits(&self) -> bool {
        let schemas = [&self.sends, &self.receives].into_iter().flatten();
        schemas.into_iter().all(|schema| schema.text.len() <= MAX_SCHEMA)
            && self.name.len() <= MAX_NAME
            && self.identity.len() <= MAX_NAME
            && MAX_FRAME_BOUNDS.contains(&self.max_frame)
    }

    /// Reads the fields of one.
    ///
    /// # Errors
    ///
    /// [`Violation`] if a field is cut short, out of order, unknown and not to be ignored, or has no valid value.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, Violation> {
        if bytes.len() > MAX_HELLO {
            return Err(Violation::TooLong { found: bytes.len(), limit: MAX_HELLO });
        }
        let mut hello = Self { versions: (0, 0), max_frame: 0, ..Self::default() };
        let mut before = 0;
        while !bytes.is_empty() {
            let (tag, value, rest) = next_field(bytes)?;
            if tag <= before {
                return Err(invalid(format!("field {tag} comes after field {before}")));
            }
            hello.take(tag, value)?;
            (before, bytes) = (tag, rest);
        }
        hello.check()
    }

    fn take(&mut self, tag: u16, value: &[u8]) -> Result<(), Violation> {
        match tag {
            VERSIONS => {
                let [a, b, c, d] = fixed(value, "versions")?;
                self.versions = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            }
            MAX_FRAME => self.max_frame = u32::from_le_bytes(fixed(value, "max_frame")?) as usize,
            // One that this side does not know is none that both have.
            WRITES => self.writes = codecs(value),
            READS => self.reads = codecs(value),
            COMPRESSION => self.zstd = value.contains(&ZSTD),
            SENDS => self.sends = described(value, "sends")?,
            RECEIVES => self.receives = described(value, "receives")?,
            NAME => self.name = text(value, "name", MAX_NAME)?,
            IDENTITY => self.identity = text(value, "identity", MAX_NAME)?,
            tag if tag & MAY_BE_IGNORED != 0 => {}
            tag => return Err(Violation::Unknown { what: "field of a hello", found: tag.into() }),
        }
        Ok(())
    }

    fn check(self) -> Result<Self, Violation> {
        let (lowest, highest) = self.versions;
        if lowest == 0 || lowest > highest {
            return Err(invalid(format!("versions from {lowest} to {highest}")));
        }
        if !MAX_FRAME_BOUNDS.contains(&self.max_frame) {
            return Err(invalid(format!("max_frame {}, expected {MAX_FRAME_BOUNDS:?}", self.max_frame)));
        }
        Ok(self)
    }
}

fn invalid(text: String) -> Violation {
    Violation::Hello(text)
}

fn next_field(bytes: &[u8]) -> Result<(u16, &[u8], &[u8]), Violation> {
    let short = |what, expected| Violation::Short { what, expected, found: bytes.len() };
    let (head, rest) = bytes.split_first_chunk::<6>().ok_or_else(|| short("field of a hello", 6))?;
    let [t0, t1, length @ ..] = *head;
    let length = u32::from_le_bytes(length) as usize;
    let (value, rest) =
        rest.split_at_checked(length).ok_or_else(|| short("value of a hello", length.saturating_add(6)))?;
    Ok((u16::from_le_bytes([t0, t1]), value, rest))
}

fn fixed<const N: usize>(value: &[u8], what: &'static str) -> Result<[u8; N], Violation> {
    value.try_into().map_err(|_| Violation::Short { what, expected: N, found: value.len() })
}

fn text(value: &[u8], what: &str, max: usize) -> Result<String, Violation> {
    if value.len() > max {
        return Err(invalid(format!("{what} has {} bytes, at most {max} are taken", value.len())));
    }
    String::from_utf8(value.to_vec()).map_err(|_| invalid(format!("{what} is no UTF-8 text")))
}

fn describe(schema: Option<&Described>) -> Vec<u8> {
    schema.map_or_else(Vec::new, |schema| [&schema.hash, schema.text.as_bytes()].concat())
}

fn described(value: &[u8], what: &'static str) -> Result<Option<Described>, Violation> {
    if value.is_empty() {
        return Ok(None);
    }
    let short = Violation::Short { what, expected: 16, found: value.len() };
    let (hash, rest) = value.split_first_chunk::<16>().ok_or(short)?;
    Ok(Some(Described { hash: *hash, text: text(rest, what, MAX_SCHEMA)? }))
}

fn codes(codecs: &[Codec]) -> Vec<u8> {
    codecs.iter().map(|codec| code(*codec)).collect()
}

fn codecs(codes: &[u8]) -> Vec<Codec> {
    codes.iter().filter_map(|number| coded(*number)).collect()
}

/// The codec of a number, if this side knows it.
pub(super) fn coded(number: u8) -> Option<Codec> {
    Codec::ALL.into_iter().find(|codec| code(*codec) == number)
}

pub(super) const fn code(codec: Codec) -> u8 {
    match codec {
        Codec::Raw => 1,
        Codec::Json => 2,
        Codec::Postcard => 3,
        Codec::Cbor => 4,
        Codec::MessagePack => 5,
        // A codec of a later version of the words has no number here yet, and 0 is nobody's.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Hello {
        let schema = |name: &str| Some(Described { hash: [7; 16], text: format!("struct {name} {{ }}\n") });
        Hello {
            writes: vec![Codec::Postcard, Codec::Cbor],
            reads: vec![Codec::Json],
            zstd: true,
            sends: schema("Order"),
            receives: schema("Receipt"),
            name: "shop".into(),
            identity: "host/1/2".into(),
            ..Hello::default()
        }
    }

    fn encoded(hello: &Hello) -> Vec<u8> {
        let mut out = Vec::new();
        hello.encode(&mut out);
        out
    }

    #[test]
    fn what_was_said_is_heard() {
        for hello in [full(), Hello { writes: Codec::ALL.to_vec(), ..Hello::default() }] {
            assert_eq!(Hello::decode(&encoded(&hello)), Ok(hello));
        }
    }

    #[test]
    fn the_bytes_stay_those_of_version_1() {
        let (writes, reads) = (Codec::ALL.to_vec(), vec![Codec::Cbor]);
        let hello = Hello { writes, reads, name: "a".into(), ..Hello::default() };
        let golden = b"\x01\0\x04\0\0\0\x01\0\x01\0\x02\0\x04\0\0\0\0\0\0\x01\x03\0\x05\0\0\0\x01\x02\x03\x04\x05\
            \x04\0\0\0\0\0\x05\0\0\0\0\0\x06\0\0\0\0\0\x07\0\x01\0\0\0\x04\x01\x80\x01\0\0\0a\x02\x80\0\0\0\0";
        assert_eq!(encoded(&hello), golden);
    }

    #[test]
    fn a_cut_hello_is_refused_or_lacks_its_last_fields() {
        let bytes = encoded(&full());
        for cut in 0..bytes.len() {
            if let Ok(hello) = Hello::decode(&bytes[..cut]) {
                assert_ne!(hello, full(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn later_fields_are_ignored_or_refused_as_their_tag_says() {
        let with = |tag: u16| {
            let mut bytes = encoded(&full());
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&[1, 0, 0, 0, 9]);
            Hello::decode(&bytes)
        };
        assert_eq!(with(0x8003), Ok(full()));
        assert!(matches!(with(0x8001), Err(Violation::Hello(_))), "the same field twice");
        let mut early = Vec::new();
        early.extend_from_slice(&8u16.to_le_bytes());
        early.extend_from_slice(&[0; 4]);
        assert!(matches!(Hello::decode(&early), Err(Violation::Unknown { found: 8, .. })));
    }

    #[test]
    fn no_value_beyond_its_bounds_is_taken() {
        let refused = |hello: Hello| Hello::decode(&encoded(&hello)).unwrap_err().to_string();
        assert!(refused(Hello { versions: (0, 1), ..full() }).contains("versions from 0"));
        assert!(refused(Hello { versions: (2, 1), ..full() }).contains("versions from 2"));
        assert!(refused(Hello { max_frame: 5, ..full() }).contains("max_frame 5"));
        assert!(refused(Hello { name: "x".repeat(257), ..full() }).contains("name has 257 bytes"));
        let long = Some(Described { hash: [0; 16], text: "x".repeat(MAX_SCHEMA + 1) });
        assert!(refused(Hello { sends: long, ..full() }).contains("sends has"));
        assert!(Hello::decode(&vec![0; MAX_HELLO + 1]).is_err());
    }
}
