//! The text of a schema and its hash.

use std::{fmt, str::FromStr};

use xxhash_rust::xxh3::xxh3_128;

use super::{
    definitions::Definitions,
    of_type::Schema,
    parse::parse,
    refused::SchemaError,
    render::render,
    shape::{Body, Definition, Shape},
};

/// The longest text in bytes.
pub const SCHEMA_TEXT_MAX: usize = 64 * 1024;

/// A schema: its text, which is valid and in the one way to write it, what it says, and its hash.
///
/// Two of them are equal if their texts are. Texts of others are read with limits: 64 KiB, 1,024 definitions, shapes 32 deep, names of 255 bytes.
#[derive(Clone)]
pub struct SchemaText {
    text: String,
    hash: SchemaHash,
    root: Shape,
    definitions: Vec<Definition>,
}

impl SchemaText {
    /// The schema of a type.
    ///
    /// Each call makes it anew; keep it where messages are many.
    ///
    /// # Errors
    /// A type that is beyond the limits, or of which one struct has two fields of one name, as `flatten` can bring about.
    pub fn of<T: Schema + ?Sized>() -> Result<Self, SchemaError> {
        let mut definitions = Definitions::new();
        let root = T::shape(&mut definitions);
        render(&root, &definitions.finish()).parse()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The hash of the text.
    pub fn hash(&self) -> SchemaHash {
        self.hash
    }

    /// The message's own shape.
    pub fn root(&self) -> &Shape {
        &self.root
    }

    /// What the names in shapes stand for; [`Shape::Named`] is an index of it.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// What a shape is once names of other shapes are looked up.
    pub(super) fn resolve<'a>(&'a self, mut shape: &'a Shape) -> &'a Shape {
        // It ends: the parser refuses a name that stands for nothing but itself.
        while let Shape::Named(index) = shape
            && let Body::Type(named) = &self.definitions[*index].body
        {
            shape = named;
        }
        shape
    }
}

/// Reads a text, which may come from anybody.
impl FromStr for SchemaText {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        if text.len() > SCHEMA_TEXT_MAX {
            let what = format!("its text has {} bytes, and {SCHEMA_TEXT_MAX} are the most", text.len());
            return Err(SchemaError::of_text(what));
        }
        if !text.ends_with('\n') {
            return Err(SchemaError::of_text("expected a line feed at its end"));
        }
        let (root, definitions) = parse(text)?;
        // The hash is of the text, so what means the same must be written the same.
        let rendered = render(&root, &definitions);
        if rendered != text {
            let line = rendered.lines().zip(text.lines()).take_while(|(ours, theirs)| ours == theirs).count() + 1;
            let what = match rendered.lines().nth(line - 1) {
                Some(ours) => format!("expected it written as `{}`", shortened(ours)),
                None => "nothing above mentions it".to_owned(),
            };
            return Err(SchemaError { line, column: 0, what });
        }
        Ok(Self { text: rendered, hash: SchemaHash(xxh3_128(text.as_bytes())), root, definitions })
    }
}

fn shortened(line: &str) -> String {
    const SHOWN: usize = 120;
    let cut: String = line.chars().take(SHOWN).collect();
    if cut.len() < line.len() { cut + "…" } else { cut }
}

impl PartialEq for SchemaText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SchemaText {}

impl fmt::Display for SchemaText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SchemaText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SchemaText").field(&self.text).finish()
    }
}

/// The XXH3-128 of a schema's text: two sides with the same mean the same.
///
/// It tells mistakes, not liars: a peer can send whichever hash it likes, and gains no more by it than by messages that do not decode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaHash(u128);

impl SchemaHash {
    /// The sixteen bytes of frames, the most significant first, as XXH3 has them.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The hash that the bytes say.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for SchemaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SchemaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SchemaHash({self})")
    }
}

/// Reads 32 hexadecimal digits.
impl FromStr for SchemaHash {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let is_hash = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| is_hash)
            .map(Self)
            .ok_or_else(|| SchemaError::of_text("expected a hash of 32 hexadecimal digits"))
    }
}
