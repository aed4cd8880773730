//! What a type looks like in memory, as text that a person reads and a hash that programs compare.

use std::fmt::Write;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A type that may lie in shared memory: a fixed layout, no padding, no pointers, every bit pattern a value.
///
/// Derive it; the derive checks all of it.
///
/// # Safety
///
/// The type is `repr(C)` or primitive, has no padding and no interior mutability, holds no address, and every pattern of its bytes is a
/// value of it.
pub unsafe trait ShmSafe: Copy + Send + Sync + 'static {
    /// Writes the type as a field of another shows it: `u64`, `[u8;16]`, `Account{cents i64 @0 +8}`.
    fn describe(text: &mut String);

    /// Writes the lines of the schema that come after the first.
    fn describe_fields(text: &mut String);

    /// The name that the first line of the schema begins with.
    fn type_name() -> String;

    /// What a segment's header says of elements of this type.
    fn element() -> Element
    where
        Self: Sized,
    {
        let mut schema = String::new();
        let (size, align) = (size_of::<Self>(), align_of::<Self>());
        writeln!(schema, "{} size={size} align={align}", Self::type_name()).expect("writing to a string succeeds");
        Self::describe_fields(&mut schema);
        Element::new(size as u64, u32::try_from(align).expect("alignments are small"), schema)
    }
}

/// The element of a segment: size, alignment, schema and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// XXH3-128 of the schema; 0 for bytes without a type.
    pub hash: u128,
    /// Its size in bytes.
    pub size: u64,
    /// Its alignment in bytes, a power of two.
    pub align: u32,
    /// Its fields, a line each.
    pub schema: String,
}

impl Element {
    /// An element with a schema.
    pub fn new(size: u64, align: u32, schema: impl Into<String>) -> Self {
        let schema = schema.into();
        Self { hash: xxh3_128(schema.as_bytes()), size, align, schema }
    }

    /// Bytes without a type: nothing is checked about them.
    pub const fn bytes() -> Self {
        Self { hash: 0, size: 1, align: 1, schema: String::new() }
    }

    /// True if what one writes the other may read: the layouts are equal, or one has fields appended in the other's reserved space.
    pub fn is_compatible_with(&self, other: &Self) -> bool {
        if self.hash == other.hash {
            return true;
        }
        let (Some((first, mine)), Some((their_first, theirs))) = (self.schema.split_once('\n'), other.schema.split_once('\n'))
        else {
            return false;
        };
        first == their_first && (mine.starts_with(theirs) || theirs.starts_with(mine))
    }
}

/// Bytes at the end of a type that a later version may turn into fields. Zero until then.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved<const N: usize>([u8; N]);

impl<const N: usize> Reserved<N> {
    /// The only value this version writes.
    pub const ZERO: Self = Self([0; N]);
}

impl<const N: usize> Default for Reserved<N> {
    fn default() -> Self {
        Self::ZERO
    }
}

/// The checksum of the immutable part of a header.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

macro_rules! primitive {
    ($($name:ident)*) => {$(
        // SAFETY: integers and floats have a fixed layout without padding, and every pattern of bits is a value of them.
        unsafe impl ShmSafe for $name {
            fn describe(text: &mut String) {
                text.push_str(stringify!($name));
            }

            fn describe_fields(text: &mut String) {
                writeln!(text, "0 {} @0 +{}", stringify!($name), size_of::<Self>()).expect("writing to a string succeeds");
            }

            fn type_name() -> String {
                stringify!($name).to_owned()
            }
        }
    )*};
}

primitive!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64);

// SAFETY: an array is its elements one after the other, without padding between them.
unsafe impl<T: ShmSafe, const N: usize> ShmSafe for [T; N] {
    fn describe(text: &mut String) {
        text.push('[');
        T::describe(text);
        write!(text, ";{N}]").expect("writing to a string succeeds");
    }

    fn describe_fields(text: &mut String) {
        text.push_str("0 ");
        Self::describe(text);
        writeln!(text, " @0 +{}", size_of::<Self>()).expect("writing to a string succeeds");
    }

    fn type_name() -> String {
        let mut name = String::new();
        Self::describe(&mut name);
        name
    }
}
