//! What stands between a writer and a reader, in words.

use std::fmt;

/// One reason why a reader cannot read what a writer writes. Printed: `Order.price: the sender writes text, the receiver reads f64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub(super) path: String,
    pub(super) kind: DifferenceKind,
    pub(super) what: String,
}

impl Difference {
    /// Where, from the message inwards.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Of what sort.
    pub fn kind(&self) -> DifferenceKind {
        self.kind
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// What sort of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// One side has another kind of value.
    Kind,
    /// One side has more values than the other.
    Count,
    /// The reader needs a field that the writer does not have.
    Missing,
    /// The reader needs a field that the writer may leave out.
    Sometimes,
    /// The writer has a field that the reader, which is strict, does not know.
    Unexpected,
    /// The writer has two fields that are one to the reader.
    Ambiguous,
    /// The writer has a variant that the reader does not know.
    UnknownVariant,
    /// An enum says in another way which variant it is.
    Tagging,
    /// There is more to compare than is allowed.
    TooMuch,
}
