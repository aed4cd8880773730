//! What the text says, as values.

/// What a value is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// True or false.
    Bool,
    /// One character.
    Char,
    /// UTF-8.
    Text,
    /// Bytes that serde was told are bytes.
    Bytes,
    /// Nothing.
    Unit,
    /// Nothing, by a name: a unit struct.
    Marker,
    /// A whole number.
    Integer(Integer),
    /// A number of IEEE 754 in 32 bits.
    F32,
    /// A number of IEEE 754 in 64 bits.
    F64,
    /// A value or none.
    Option(Box<Self>),
    /// Any number of values.
    List(Box<Self>),
    /// Any number of values, each once.
    Set(Box<Self>),
    /// Keys and their values.
    Map(Box<Self>, Box<Self>),
    /// A fixed number of values of one shape.
    Array(Box<Self>, u64),
    /// One value of each shape.
    Tuple(Vec<Self>),
    /// What the definition with this index says.
    Named(usize),
}

/// A kind of whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Integer {
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`, and `usize`
    U64,
    /// `u128`
    U128,
    /// `i8`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`, and `isize`
    I64,
    /// `i128`
    I128,
}

impl Integer {
    /// Every kind, the unsigned ones first.
    pub const ALL: [Self; 10] =
        [Self::U8, Self::U16, Self::U32, Self::U64, Self::U128, Self::I8, Self::I16, Self::I32, Self::I64, Self::I128];

    /// Its word in the text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::U128 => "u128",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I128 => "i128",
        }
    }

    /// Whether it has every value of the other.
    pub const fn holds(self, other: Self) -> bool {
        match (self.is_signed(), other.is_signed()) {
            (true, false) => self.bits() > other.bits(),
            (false, true) => false,
            _ => self.bits() >= other.bits(),
        }
    }

    const fn is_signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64 | Self::I128)
    }

    const fn bits(self) -> u32 {
        match self {
            Self::U8 | Self::I8 => 8,
            Self::U16 | Self::I16 => 16,
            Self::U32 | Self::I32 => 32,
            Self::U64 | Self::I64 => 64,
            Self::U128 | Self::I128 => 128,
        }
    }
}

/// One line of the text: a name and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The name that serde uses; with `~2` behind it where another type of the message has the same.
    pub name: String,
    /// What it stands for.
    pub body: Body,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// Fields with names.
    Struct {
        /// In the order in which they are written.
        fields: Vec<Field>,
        /// Whether unknown fields are refused.
        is_strict: bool,
    },
    /// One of several.
    Enum {
        /// How it is said which.
        tagging: Tagging,
        /// In their order.
        variants: Vec<Variant>,
    },
    /// Another shape, which has a name because it contains itself.
    Type(Shape),
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name under which it is written.
    pub name: String,
    /// What it is.
    pub shape: Shape,
    /// `default`: a reader does without it.
    pub has_default: bool,
    /// `required`: it must be there though it is an option, as where a newtype is around it.
    pub is_required: bool,
    /// `sometimes`: the writer may leave it out.
    pub is_sometimes: bool,
    /// Other names under which a reader takes it.
    pub aliases: Vec<String>,
}

impl Field {
    /// A field that must be there unless it is an option.
    pub fn new(name: impl Into<String>, shape: Shape) -> Self {
        Self {
            name: name.into(),
            shape,
            has_default: false,
            is_required: false,
            is_sometimes: false,
            aliases: Vec::new(),
        }
    }

    /// Whether a reader does without it.
    pub fn may_be_absent(&self) -> bool {
        self.has_default || (matches!(self.shape, Shape::Option(_)) && !self.is_required)
    }

    /// Whether a reader takes it under that name.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// How an enum says which variant it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tagging {
    /// The name is around the content.
    External,
    /// The name is a field among those of the content.
    Internal {
        /// The field.
        tag: String,
    },
    /// The name is one field, the content another.
    Adjacent {
        /// The field of the name.
        tag: String,
        /// The field of the content.
        content: String,
    },
    /// It does not: a reader tries one after the other.
    Untagged,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The name under which it is written.
    pub name: String,
    /// What it carries.
    pub content: Content,
    /// `other`: a reader takes unknown names for it.
    pub is_other: bool,
    /// Other names under which a reader takes it.
    pub aliases: Vec<String>,
}

/// What a variant carries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Nothing.
    Unit,
    /// Values without names; one is written as it is, several as a list.
    Tuple(Vec<Shape>),
    /// Fields with names.
    Struct {
        /// In the order in which they are written.
        fields: Vec<Field>,
        /// Whether unknown fields are refused.
        is_strict: bool,
    },
}
