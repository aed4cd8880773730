//! The header of a segment as plain values: written once, read from bytes, checked. No memory is mapped here.
//!
//! The layout is in `docs/segment-format.md`. Whoever opens a segment copies the page first and looks at the copy, so that nobody can
//! change what was checked.

mod bytes;
mod id;
mod kind;
mod refusal;
mod sections;

use crosstie_core::Wall;

pub use self::{
    id::SegmentId,
    kind::{Features, Kind, State},
    refusal::{FeatureClass, Refusal},
    sections::{SectionKind, SectionRow},
};
use crate::{
    layout::{MAX_PARTICIPANTS, PAGE},
    schema::{Element, SCHEMA_MAX, checksum},
};
use bytes::{Reader, Writer};

/// The layout version that this build writes, and whose major it reads.
pub const LAYOUT: (u16, u16) = (1, 0);
/// Bytes of the header that are written before it is published and never again.
pub(crate) const FIXED: usize = 3968;

const MAGIC: [u8; 8] = *b"XTIE-SEG";
const BYTE_ORDER: u32 = 0x0102_0304;
const CHECKED: usize = 3896;
const SCHEMA_AT: usize = 656;
const NAME_AT: usize = 3832;
const NAME_MAX: usize = 64;
/// Longer than any memory, and below the bytes whose locks mean life.
pub(crate) const MAX_LEN: u64 = 1 << 40;
pub(crate) const MAX_LOCKS: u32 = 1 << 16;

/// Everything that a segment says about itself when it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major and minor version of the layout.
    pub layout: (u16, u16),
    /// Length of the segment in bytes.
    pub len: u64,
    /// Which generation of its name it is; 1 for an anonymous segment.
    pub generation: u32,
    /// What its data is.
    pub kind: Kind,
    /// What a reader or writer has to know.
    pub features: Features,
    /// The boot of the machine during which it was made.
    pub boot: SegmentId,
    /// Its own id.
    pub id: SegmentId,
    /// What one element looks like.
    pub element: Element,
    /// How many elements there are.
    pub elements: u32,
    /// How many may take part.
    pub participants: u32,
    /// How many locks it has.
    pub locks: u32,
    /// When it was made.
    pub created: Wall,
    /// The user id of its maker.
    pub uid: u32,
    /// Where its parts are.
    pub sections: Vec<SectionRow>,
    /// What it is called; may be empty if it is anonymous.
    pub name: String,
}

impl Header {
    /// The part of a kind.
    pub fn section(&self, kind: SectionKind) -> Option<&SectionRow> {
        self.sections.iter().find(|row| row.kind == kind.number())
    }

    /// The bytes, as they are published.
    pub(crate) fn encode(&self) -> Box<[u8; FIXED]> {
        let mut page = Box::new([0; FIXED]);
        let mut to = Writer::new(&mut page[..]);
        to.bytes(&MAGIC);
        to.u32(BYTE_ORDER);
        to.u16(self.layout.0);
        to.u16(self.layout.1);
        to.u64(self.len);
        to.u32(self.generation);
        to.u32(self.kind.number());
        to.u64(self.features.must);
        to.u64(self.features.must_to_write);
        to.u64(self.features.may_ignore);
        to.bytes(&self.boot.0);
        to.bytes(&self.id.0);
        to.bytes(&self.element.hash.to_le_bytes());
        to.u64(self.element.size);
        to.u32(self.element.align);
        to.u32(self.participants);
        to.u32(self.locks);
        to.u32(self.elements);
        to.u64(self.created.unix_nanos());
        to.u32(self.uid);
        to.u32(u32::try_from(self.element.schema.len()).expect("a schema has at most 3176 bytes"));
        sections::encode(&self.sections, &mut to);
        assert_eq!(to.at(), SCHEMA_AT, "the section table ends where the schema begins");
        to.text(&self.element.schema, SCHEMA_MAX);
        assert_eq!(to.at(), NAME_AT, "the schema ends where the name begins");
        to.text(&self.name, NAME_MAX);
        assert_eq!(to.at(), CHECKED, "the name ends where the checksum begins");
        let sum = checksum(&page[..CHECKED]);
        Writer::new(&mut page[CHECKED..]).u64(sum);
        page
    }

    /// The header in `page`, of a file of `file_len` bytes. Everything that does not depend on who opens it is checked.
    ///
    /// # Errors
    ///
    /// The first thing that is not as this build writes it.
    pub fn decode(page: &[u8], file_len: u64) -> Result<Self, Refusal> {
        if file_len < PAGE || page.len() < FIXED {
            return Err(Refusal::TooShort { expected: PAGE, came: file_len.min(page.len() as u64) });
        }
        let mut from = Reader::new(page);
        let magic = from.bytes();
        if magic != MAGIC {
            return Err(Refusal::Magic { came: magic });
        }
        let byte_order = from.u32();
        if byte_order != BYTE_ORDER {
            return Err(Refusal::ByteOrder { expected: BYTE_ORDER, came: byte_order });
        }
        let layout = (from.u16(), from.u16());
        if layout.0 != LAYOUT.0 {
            return Err(Refusal::Version { ours: LAYOUT, theirs: layout });
        }
        let len = from.u64();
        if len != file_len || len >= MAX_LEN {
            return Err(Refusal::Length { header: len, file: file_len });
        }
        let (came, computed) = (Reader::new(&page[CHECKED..]).u64(), checksum(&page[..CHECKED]));
        if came != computed {
            return Err(Refusal::Checksum { expected: computed, came });
        }
        let generation = from.u32();
        let kind = Kind::from_number(from.u32());
        let features = Features { must: from.u64(), must_to_write: from.u64(), may_ignore: from.u64() };
        let (boot, id) = (SegmentId(from.bytes()), SegmentId(from.bytes()));
        let hash = u128::from_le_bytes(from.bytes());
        let (size, align) = (from.u64(), from.u32());
        let (participants, locks, elements) = (from.u32(), from.u32(), from.u32());
        let (created, uid) = (Wall::from_unix_nanos(from.u64()), from.u32());
        let schema_len = from.u32() as usize;
        let sections = sections::decode(&mut from);
        let schema = page
            .get(SCHEMA_AT..SCHEMA_AT + SCHEMA_MAX)
            .and_then(|schema| schema.get(..schema_len))
            .ok_or_else(|| Refusal::Numbers(format!("a schema of at most {SCHEMA_MAX} bytes, came {schema_len}")))?;
        let name = &page[NAME_AT..NAME_AT + NAME_MAX];
        let name_len = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_MAX);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let element = Element { hash, size, align, schema: text(schema) };
        let name = text(&name[..name_len]);
        let header = Self {
            layout,
            len,
            generation,
            kind,
            features,
            boot,
            id,
            element,
            elements,
            participants,
            locks,
            created,
            uid,
            sections,
            name,
        };
        header.check_numbers()?;
        Ok(header)
    }

    /// Whatever else is believed about the numbers later on: a checksum does not keep out a header that was made wrong.
    fn check_numbers(&self) -> Result<(), Refusal> {
        let refuse = |what: String| Err(Refusal::Numbers(what));
        if self.generation == 0 {
            return refuse("a generation of at least 1, came 0".to_owned());
        }
        if self.participants == 0 || self.participants > MAX_PARTICIPANTS {
            return refuse(format!("1 to {MAX_PARTICIPANTS} participants, came {}", self.participants));
        }
        if self.locks > MAX_LOCKS {
            return refuse(format!("at most {MAX_LOCKS} locks, came {}", self.locks));
        }
        if !self.element.align.is_power_of_two() || u64::from(self.element.align) > PAGE {
            return refuse(format!("an alignment that is a power of two up to {PAGE}, came {}", self.element.align));
        }
        sections::check(&self.sections, self.len, self.participants, self.locks)
    }
}
