//! Why a segment is not opened. Each reason says what was expected and what came.

use std::fmt::{self, Write};

use super::{id::SegmentId, kind::Kind};
use crate::schema::Element;

/// Which of the three classes of feature bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureClass {
    /// Needed to look.
    Must,
    /// Needed to write.
    MustToWrite,
}

/// Why a segment is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The file ends before the header does.
    TooShort {
        /// Bytes that there must be.
        expected: u64,
        /// Bytes that there are.
        came: u64,
    },
    /// It is no segment.
    Magic {
        /// Its first bytes.
        came: [u8; 8],
    },
    /// It is from a machine of another byte order.
    ByteOrder {
        /// The mark as this machine writes it.
        expected: u32,
        /// The mark that came.
        came: u32,
    },
    /// Its layout is of another major version.
    Version {
        /// What this build reads.
        ours: (u16, u16),
        /// What it is.
        theirs: (u16, u16),
    },
    /// The file is shorter or longer than the segment.
    Length {
        /// What the header says.
        header: u64,
        /// What the file has.
        file: u64,
    },
    /// The header is damaged.
    Checksum {
        /// Of the bytes that are there.
        expected: u64,
        /// That is written there.
        came: u64,
    },
    /// A number in the header cannot be; the text says what was expected and what came.
    Numbers(String),
    /// It is from before the machine was started.
    OtherBoot {
        /// The boot now.
        ours: SegmentId,
        /// The boot during which it was made.
        theirs: SegmentId,
    },
    /// It uses something that this build does not know.
    Features {
        /// Which class.
        class: FeatureClass,
        /// The bits that this build knows.
        known: u64,
        /// The bits that are set.
        came: u64,
    },
    /// It is for something else.
    Kind {
        /// What was asked for.
        expected: Kind,
        /// What it is.
        came: Kind,
    },
    /// Its elements look different in memory.
    Layout {
        /// What this program uses.
        ours: Box<Element>,
        /// What the segment was made for.
        theirs: Box<Element>,
    },
    /// It has another number of elements.
    Elements {
        /// What was asked for.
        expected: u32,
        /// What it has.
        came: u32,
    },
    /// It is not a regular file, or not a sealed piece of memory.
    NotMemory {
        /// What was expected.
        expected: &'static str,
        /// What came.
        came: String,
    },
    /// It belongs to somebody else.
    Owner {
        /// Whose it must be.
        expected: String,
        /// Whose it is.
        came: String,
    },
    /// Others than its owner may touch it.
    Mode {
        /// The most that may be allowed.
        expected: u32,
        /// What is allowed.
        came: u32,
    },
}

impl Refusal {
    /// The stable name used in JSON output.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::Magic { .. } => "magic",
            Self::ByteOrder { .. } => "byte_order",
            Self::Version { .. } => "version",
            Self::Length { .. } => "length",
            Self::Checksum { .. } => "checksum",
            Self::Numbers(_) => "numbers",
            Self::OtherBoot { .. } => "other_boot",
            Self::Features { .. } => "features",
            Self::Kind { .. } => "kind",
            Self::Layout { .. } => "layout",
            Self::Elements { .. } => "elements",
            Self::NotMemory { .. } => "not_memory",
            Self::Owner { .. } => "owner",
            Self::Mode { .. } => "mode",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { expected, came } => {
                write!(f, "expected a header of {expected} bytes, came a file of {came}; it is no segment or was cut")
            }
            Self::Magic { came } => {
                write!(f, "expected a segment (`XTIE-SEG`), came a file that begins with `{}`", came.escape_ascii())
            }
            Self::ByteOrder { expected, came } => {
                write!(
                    f,
                    "expected the byte order {expected:#010x}, came {came:#010x}; it is from another kind of machine"
                )
            }
            Self::Version { ours, theirs } => {
                let (age, what) = if theirs.0 > ours.0 {
                    ("newer", "update this program")
                } else {
                    ("older", "update the program that made it")
                };
                let ((a, b), (c, d)) = (ours, theirs);
                write!(f, "expected layout version {a}.x (this build: {a}.{b}), came {c}.{d}, which is {age}; {what}")
            }
            Self::Length { header, file } => {
                write!(
                    f,
                    "expected {header} bytes, as the header says, came a file of {file}; it was cut or is foreign"
                )
            }
            Self::Checksum { expected, came } => {
                write!(f, "expected the header's checksum {expected:#018x}, came {came:#018x}; the header is damaged")
            }
            Self::Numbers(what) => write!(f, "expected {what}; the header was made wrong"),
            Self::OtherBoot { ours, theirs } => write!(
                f,
                "expected a segment of this boot of the machine ({ours}), came one of another ({theirs}); nobody can hold its locks any \
                 more: remove it with `crosstie shm gc`"
            ),
            Self::Features { class, known, came } => {
                let what = match class {
                    FeatureClass::Must => "to use it",
                    FeatureClass::MustToWrite => "to write to it",
                };
                let unknown = came & !known;
                write!(
                    f,
                    "expected features out of {known:#x}, came {came:#x}: one must know {unknown:#x} {what}; update this program"
                )
            }
            Self::Kind { expected, came } => {
                write!(f, "expected the kind `{expected}`, came `{came}`; something else has this name: take another")
            }
            Self::Layout { ours, theirs } => layout(f, ours, theirs),
            Self::Elements { expected, came } => write!(f, "expected {expected} elements, came {came}"),
            Self::NotMemory { expected, came } => write!(f, "expected {expected}, came {came}"),
            Self::Owner { expected, came } => write!(f, "expected a file of {expected}, came one of {came}"),
            Self::Mode { expected, came } => {
                write!(f, "expected at most mode {expected:04o}, came {came:04o}; others could change it")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// Both layouts, and where they differ.
fn layout(f: &mut fmt::Formatter<'_>, ours: &Element, theirs: &Element) -> fmt::Result {
    let summary = |element: &Element| {
        let Element { size, align, hash, .. } = element;
        format!("{size} bytes, alignment {align}, hash {hash:032x}")
    };
    write!(f, "expected elements of {}, came {}", summary(ours), summary(theirs))?;
    if ours.schema.is_empty() || theirs.schema.is_empty() {
        let whose = if ours.schema.is_empty() { "this program's" } else { "the segment's" };
        return write!(f, "; {whose} have no schema");
    }
    f.write_char(';')?;
    for line in difference(&ours.schema, &theirs.schema) {
        write!(f, "\n  {line}")?;
    }
    Ok(())
}

/// The lines that only one side has: `-` ours, `+` theirs, in their order.
fn difference(ours: &str, theirs: &str) -> Vec<String> {
    let (mine, other): (Vec<_>, Vec<_>) = (ours.lines().collect(), theirs.lines().collect());
    let same_start = mine.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (mine, other) = (&mine[same_start..], &other[same_start..]);
    let same_end = mine.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let only = |lines: &[&str], sign: &str, who: &str| {
        let kept = &lines[..lines.len() - same_end];
        kept.iter().map(|line| format!("{sign} {line} ({who})")).collect::<Vec<_>>()
    };
    let mut all = only(mine, "-", "this program");
    all.extend(only(other, "+", "the segment"));
    all
}
