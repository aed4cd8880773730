//! Types made of chance.

use std::cell::RefCell;

use crosstie_core::schema::{Body, Content, Definitions, Field, Integer, Schema, SchemaText, Shape, Tagging, Variant};
use fastrand::Rng;

/// Names of fields and variants, for serde wants them to live for ever.
pub(crate) const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

#[derive(Clone, Debug)]
pub(crate) enum Model {
    Integer(Integer),
    F32,
    F64,
    Bool,
    Char,
    Text,
    Unit,
    Marker,
    Bytes,
    Option(Box<Self>),
    List(Box<Self>),
    Set(Box<Self>),
    Array(Box<Self>, usize),
    Tuple(Vec<Self>),
    Map(Box<Self>),
    Struct(Fields),
    Enum(Vec<Choice>),
}

#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) fields: Vec<Named>,
    pub(crate) is_strict: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) aliases: Vec<&'static str>,
    pub(crate) model: Model,
    pub(crate) has_default: bool,
    pub(crate) is_required: bool,
    pub(crate) is_sometimes: bool,
}

impl Named {
    pub(crate) fn may_be_absent(&self) -> bool {
        self.has_default || (matches!(self.model, Model::Option(_)) && !self.is_required)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    pub(crate) aliases: Vec<&'static str>,
    pub(crate) is_other: bool,
    pub(crate) carried: Carried,
}

#[derive(Clone, Debug)]
pub(crate) enum Carried {
    Nothing,
    Values(Vec<Model>),
    Fields(Fields),
}

impl Model {
    pub(crate) fn random(rng: &mut Rng, depth: usize) -> Self {
        if depth == 0 || rng.u8(0..4) == 0 {
            return Self::leaf(rng);
        }
        let mut inner = || Box::new(Self::random(rng, depth - 1));
        let item = inner();
        match rng.u8(0..14) {
            0 => Self::Option(item),
            1 => Self::List(item),
            2 => Self::Set(item),
            3 => Self::Array(item, rng.usize(0..3)),
            4 => Self::Tuple((0..rng.usize(0..3)).map(|_| Self::random(rng, depth - 1)).collect()),
            5 => Self::Map(item),
            6..10 => Self::Struct(Fields::random(rng, depth - 1)),
            _ => {
                let names = some_names(rng);
                Self::Enum(names.into_iter().map(|name| Choice::random(name, rng, depth - 1)).collect())
            }
        }
    }

    pub(crate) fn leaf(rng: &mut Rng) -> Self {
        match rng.u8(0..16) {
            0 => Self::F32,
            1 => Self::F64,
            2 => Self::Bool,
            3 => Self::Char,
            4 => Self::Text,
            5 => Self::Unit,
            6 => Self::Marker,
            7 => Self::Bytes,
            _ => Self::Integer(Integer::ALL[rng.usize(0..Integer::ALL.len())]),
        }
    }

    pub(crate) fn schema(&self) -> SchemaText {
        CURRENT.set(Some(self.clone()));
        SchemaText::of::<Current>().unwrap()
    }

    fn shape(&self, definitions: &mut Definitions) -> Shape {
        let mut boxed = |model: &Self| Box::new(model.shape(definitions));
        match self {
            Self::Integer(integer) => Shape::Integer(*integer),
            Self::F32 => Shape::F32,
            Self::F64 => Shape::F64,
            Self::Bool => Shape::Bool,
            Self::Char => Shape::Char,
            Self::Text => Shape::Text,
            Self::Unit => Shape::Unit,
            Self::Marker => Shape::Marker,
            Self::Bytes => Shape::Bytes,
            Self::Option(item) => Shape::Option(boxed(item)),
            Self::List(item) => Shape::List(boxed(item)),
            Self::Set(item) => Shape::Set(boxed(item)),
            Self::Array(item, count) => Shape::Array(boxed(item), *count as u64),
            Self::Map(value) => Shape::Map(Box::new(Shape::Text), boxed(value)),
            Self::Tuple(items) => Shape::Tuple(items.iter().map(|item| item.shape(definitions)).collect()),
            Self::Struct(fields) => definitions.named::<Self>(place(), "T", |definitions| Body::Struct {
                fields: fields.told(definitions),
                is_strict: fields.is_strict,
            }),
            Self::Enum(choices) => definitions.named::<Self>(place(), "T", |definitions| Body::Enum {
                tagging: Tagging::External,
                variants: choices.iter().map(|choice| choice.told(definitions)).collect(),
            }),
        }
    }
}

impl Fields {
    pub(crate) fn random(rng: &mut Rng, depth: usize) -> Self {
        let names = some_names(rng);
        Self {
            fields: names.into_iter().map(|name| Named::random(name, rng, depth)).collect(),
            is_strict: rng.u8(0..4) == 0,
        }
    }

    fn told(&self, definitions: &mut Definitions) -> Vec<Field> {
        let told = |field: &Named| {
            let mut told = Field::new(field.name, field.model.shape(definitions));
            told.has_default = field.has_default;
            told.is_required = field.is_required;
            told.is_sometimes = field.is_sometimes;
            told.aliases = field.aliases.iter().map(ToString::to_string).collect();
            told
        };
        self.fields.iter().map(told).collect()
    }
}

impl Named {
    pub(crate) fn random(name: &'static str, rng: &mut Rng, depth: usize) -> Self {
        let is_sometimes = rng.u8(0..4) == 0;
        Self {
            name,
            aliases: Vec::new(),
            model: Model::random(rng, depth),
            // A type that leaves out what it needs could not even read itself.
            has_default: is_sometimes || rng.u8(0..4) == 0,
            is_required: rng.u8(0..4) == 0,
            is_sometimes,
        }
    }
}

impl Choice {
    pub(crate) fn random(name: &'static str, rng: &mut Rng, depth: usize) -> Self {
        let carried = match rng.u8(0..4) {
            0 => Carried::Nothing,
            1 => Carried::Values(vec![Model::random(rng, depth)]),
            2 => Carried::Values((0..rng.usize(0..3)).map(|_| Model::random(rng, depth)).collect()),
            _ => Carried::Fields(Fields::random(rng, depth)),
        };
        Self { name, aliases: Vec::new(), is_other: false, carried }
    }

    fn told(&self, definitions: &mut Definitions) -> Variant {
        let content = match &self.carried {
            Carried::Nothing => Content::Unit,
            Carried::Values(items) => Content::Tuple(items.iter().map(|item| item.shape(definitions)).collect()),
            Carried::Fields(fields) => {
                Content::Struct { fields: fields.told(definitions), is_strict: fields.is_strict }
            }
        };
        Variant {
            name: self.name.to_owned(),
            content,
            is_other: self.is_other,
            aliases: self.aliases.iter().map(ToString::to_string).collect(),
        }
    }
}

/// One to four names, each once.
fn some_names(rng: &mut Rng) -> Vec<&'static str> {
    let mut names = NAMES.to_vec();
    rng.shuffle(&mut names);
    names.truncate(rng.usize(1..5));
    names
}

thread_local! {
    static CURRENT: RefCell<Option<Model>> = const { RefCell::new(None) };
}

/// A type that looks like whichever model is the current one.
struct Current;

impl Schema for Current {
    fn shape(definitions: &mut Definitions) -> Shape {
        CURRENT.take().expect("`schema` sets it").shape(definitions)
    }
}

/// Each struct and enum is a type of its own.
fn place() -> &'static str {
    thread_local!(static NEXT: RefCell<u64> = const { RefCell::new(0) });
    let next = NEXT.with(|next| next.replace_with(|next| *next + 1));
    Box::leak(next.to_string().into_boxed_str())
}
