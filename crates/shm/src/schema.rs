//! What a type looks like in memory, as text that a person reads and a hash that programs compare.

use std::fmt::Write;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A type that may lie in shared memory: a fixed layout, no padding, no pointers, every bit pattern a value.
///
/// Derive it; the derive checks all of it. Integers of fixed width, floats, arrays of such types and structs of them are fit; `usize`, `bool`,
/// `char`, enums, references and everything that owns memory are not.
///
/// ```
/// use crosstie_shm::{Reserved, ShmSafe};
///
/// #[derive(Clone, Copy, ShmSafe)]
/// #[repr(C)]
/// struct Ledger {
///     accounts: [i64; 128],
///     moved: u64,
///     reserved: Reserved<56>,
/// }
///
/// assert_eq!(Ledger::element().schema, "Ledger size=1088 align=8\naccounts [i64;128] @0 +1024\nmoved u64 @1024 +8\n");
/// ```
///
/// What is not fit is an error of the compiler: a field of no fixed width, a gap between fields, reserved space that is not at the end.
///
/// ```compile_fail,E0277
/// # use crosstie_shm::ShmSafe;
/// #[derive(Clone, Copy, ShmSafe)]
/// #[repr(C)]
/// struct Wide {
///     index: usize,
/// }
/// ```
///
/// ```compile_fail,E0080
/// # use crosstie_shm::ShmSafe;
/// #[derive(Clone, Copy, ShmSafe)]
/// #[repr(C)]
/// struct Gap {
///     flag: u8,
///     number: u32,
/// }
/// ```
///
/// ```compile_fail,E0080
/// # use crosstie_shm::{Reserved, ShmSafe};
/// #[derive(Clone, Copy, ShmSafe)]
/// #[repr(C)]
/// struct Early {
///     reserved: Reserved<8>,
///     number: u64,
/// }
/// ```
///
/// The derive needs the crate by its own name. If a dependency was given another one (`shm = { package = "crosstie-shm" }`), the compiler says *could not find
/// `crosstie_shm` in the list of imported crates* (or `crosstie`); then the type says where it is:
///
/// ```
/// # mod renamed { pub use crosstie_shm::*; }
/// #[derive(Clone, Copy, renamed::ShmSafe)]
/// #[shm(crate = renamed)]
/// #[repr(C)]
/// struct Account {
///     cents: i64,
/// }
/// ```
///
/// # Safety
///
/// The type is `repr(C)` or primitive, has no padding and no interior mutability, holds no address, and every pattern of its bytes is a
/// value of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in shared memory",
    label = "not `ShmSafe`",
    note = "fit are integers of fixed width, floats, arrays of fit types, and structs of them with `#[derive(Clone, Copy, ShmSafe)]` and \
            `#[repr(C)]`; write `u64` for `usize`, `u8` for `bool`, `u32` for `char` or an enum, and an offset for a pointer"
)]
pub unsafe trait ShmSafe: Copy + Send + Sync + 'static {
    /// True for [`Reserved`] alone, which has no line in a schema and stands at the end of a type.
    #[doc(hidden)]
    const IS_RESERVED: bool = false;

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
    ///
    /// A schema of more than 3176 bytes is cut at the end of a line and ends with `…`: the hash is still that of the whole, but fields can
    /// no longer be appended compatibly.
    pub fn new(size: u64, align: u32, schema: impl Into<String>) -> Self {
        let mut schema = schema.into();
        let hash = xxh3_128(schema.as_bytes());
        if schema.len() > SCHEMA_MAX {
            let kept = schema.floor_char_boundary(SCHEMA_MAX - CUT.len());
            let end = schema[..kept].rfind('\n').map_or(0, |at| at + 1);
            schema.truncate(end);
            schema.push_str(CUT);
        }
        Self { hash, size, align, schema }
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
        let (Some((first, mine)), Some((their_first, theirs))) =
            (self.schema.split_once('\n'), other.schema.split_once('\n'))
        else {
            return false;
        };
        let is_whole = |fields: &str| !fields.ends_with(CUT);
        first == their_first
            && is_whole(mine)
            && is_whole(theirs)
            && (mine.starts_with(theirs) || theirs.starts_with(mine))
    }
}

/// The most that a header has room for.
pub(crate) const SCHEMA_MAX: usize = 3176;
/// The end of a schema that was cut.
const CUT: &str = "…\n";

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

// SAFETY: bytes.
unsafe impl<const N: usize> ShmSafe for Reserved<N> {
    const IS_RESERVED: bool = true;

    fn describe(_: &mut String) {}

    fn describe_fields(_: &mut String) {}

    fn type_name() -> String {
        format!("Reserved<{N}>")
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
