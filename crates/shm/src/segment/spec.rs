//! What a segment shall be, said by who makes it and by who opens it.

use crate::{
    clock,
    error::{Error, Result},
    header::{
        FeatureClass, Features, Header, Kind, LAYOUT, MAX_LEN, MAX_LOCKS, Refusal, SectionKind, SectionRow, SegmentId,
    },
    layout::{MAX_PARTICIPANTS, PAGE},
    schema::Element,
};

/// What a new segment shall be.
#[derive(Clone, Debug)]
pub struct Spec {
    kind: Kind,
    element: Element,
    elements: u32,
    participants: u32,
    locks: u32,
    data: u64,
}

impl Spec {
    /// A segment of 32 participants, no locks and no data.
    pub const fn new(kind: Kind, element: Element) -> Self {
        Self { kind, element, elements: 1, participants: 32, locks: 0, data: 0 }
    }

    /// How many may take part at a time: 1 to 1023. Each costs 8.5 KiB.
    #[must_use]
    pub const fn participants(mut self, participants: u32) -> Self {
        self.participants = participants;
        self
    }

    /// How many locks it has, at most 65,536. Each costs 256 bytes.
    #[must_use]
    pub const fn locks(mut self, locks: u32) -> Self {
        self.locks = locks;
        self
    }

    /// How many elements it has.
    #[must_use]
    pub const fn elements(mut self, elements: u32) -> Self {
        self.elements = elements;
        self
    }

    /// Bytes of data, below 1 TiB.
    #[must_use]
    pub const fn data(mut self, bytes: u64) -> Self {
        self.data = bytes;
        self
    }

    /// How many may take part.
    pub(crate) const fn participants_planned(&self) -> u32 {
        self.participants
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its element.
    pub const fn element(&self) -> &Element {
        &self.element
    }

    /// What another process that makes or opens the same would expect.
    pub fn expectation(&self) -> Expect {
        Expect::kind(self.kind).element(self.element.clone())
    }

    /// The header of such a segment.
    pub(crate) fn header(&self, name: &str, generation: u32, boot: SegmentId, id: SegmentId) -> Result<Header> {
        let refuse = |what: String| Err(Error::Spec { what });
        if self.participants == 0 || self.participants > MAX_PARTICIPANTS {
            return refuse(format!("1 to {MAX_PARTICIPANTS} participants, came {}", self.participants));
        }
        if self.locks > MAX_LOCKS {
            return refuse(format!("at most {MAX_LOCKS} locks, came {}", self.locks));
        }
        if self.data >= MAX_LEN / 2 {
            return refuse(format!("less than {} bytes of data, came {}", MAX_LEN / 2, self.data));
        }
        let mut sections = Vec::new();
        let mut at = PAGE;
        for kind in SectionKind::ALL {
            let stride = kind.row();
            let len = match kind {
                SectionKind::Participants | SectionKind::Waiters | SectionKind::Events => {
                    u64::from(stride) * u64::from(self.participants)
                }
                SectionKind::Locks => u64::from(stride) * u64::from(self.locks),
                SectionKind::Data => self.data,
            };
            sections.push(SectionRow { kind: kind.number(), stride, offset: at, len });
            at = (at + len).next_multiple_of(PAGE);
        }
        let header = Header {
            layout: LAYOUT,
            len: at.next_multiple_of(crosstie_sys::page_size() as u64),
            generation,
            kind: self.kind,
            features: Features::default(),
            boot,
            id,
            element: self.element.clone(),
            elements: self.elements,
            participants: self.participants,
            locks: self.locks,
            created: clock::wall(),
            uid: rustix::process::geteuid().as_raw(),
            sections,
            name: name.to_owned(),
        };
        Ok(header)
    }
}

/// What a segment must be to be opened. What is not said is not checked.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    kind: Option<Kind>,
    element: Option<Element>,
    elements: Option<u32>,
    looks_only: bool,
    of_any_boot: bool,
}

impl Expect {
    /// Any segment that this build can read and write.
    pub fn any() -> Self {
        Self::default()
    }

    /// A segment of this kind.
    pub fn kind(kind: Kind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    /// Whose elements are these, or compatible with them.
    #[must_use]
    pub fn element(mut self, element: Element) -> Self {
        self.element = Some(element);
        self
    }

    /// That has this many elements.
    #[must_use]
    pub const fn elements(mut self, elements: u32) -> Self {
        self.elements = Some(elements);
        self
    }

    /// To look at and not to write: the memory is mapped for reading, and nobody can join it.
    #[must_use]
    pub const fn looking_only(mut self) -> Self {
        self.looks_only = true;
        self
    }

    /// Even if the machine was started anew since it was made, as a tool that lists or removes it needs.
    #[must_use]
    pub const fn of_any_boot(mut self) -> Self {
        self.of_any_boot = true;
        self
    }

    pub(crate) const fn is_looking_only(&self) -> bool {
        self.looks_only
    }

    /// Whether `header` is what is expected, with `boot` the boot now.
    ///
    /// # Errors
    ///
    /// The first thing that is not.
    pub fn check(&self, header: &Header, boot: SegmentId) -> Result<(), Refusal> {
        if header.boot != boot && !self.of_any_boot {
            return Err(Refusal::OtherBoot { ours: boot, theirs: header.boot });
        }
        let classes = [
            (FeatureClass::Must, Features::KNOWN.must, header.features.must),
            (FeatureClass::MustToWrite, Features::KNOWN.must_to_write, header.features.must_to_write),
        ];
        for (class, known, came) in classes {
            let matters = class == FeatureClass::Must || !self.looks_only;
            if matters && came & !known != 0 {
                return Err(Refusal::Features { class, known, came });
            }
        }
        if let Some(expected) = self.kind
            && expected != header.kind
        {
            return Err(Refusal::Kind { expected, came: header.kind });
        }
        if let Some(ours) = &self.element
            && !ours.is_compatible_with(&header.element)
        {
            return Err(Refusal::Layout { ours: Box::new(ours.clone()), theirs: Box::new(header.element.clone()) });
        }
        match self.elements {
            Some(expected) if expected != header.elements => Err(Refusal::Elements { expected, came: header.elements }),
            _ => Ok(()),
        }
    }
}
