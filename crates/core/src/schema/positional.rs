//! Whether a type can go by position alone, without names: in a codec that is not self-describing.

use super::{
    definitions::Definitions,
    of_type::Schema,
    shape::{Body, Content, Definition, Field, Shape, Tagging},
};

/// Whether values of `T` can be carried by a codec that writes neither names nor lengths of its own accord, as postcard, and read back from
/// whoever has the same schema.
///
/// Not if a field is left out `sometimes`, if fields are flattened, if an enum is tagged otherwise than from outside: serde asks the reader then what is
/// there. And not if the type contains itself, for nothing but the message would say how deep, and such codecs have no limit.
pub fn is_positional<T: Schema + ?Sized>() -> bool {
    let mut definitions = Definitions::new();
    let root = T::shape(&mut definitions);
    if definitions.has_flattened() {
        return false;
    }
    let definitions = definitions.finish();
    let mut walk = Walk { states: vec![State::Unknown; definitions.len()], definitions: &definitions };
    walk.shape(&root)
}

#[derive(Clone, Copy)]
enum State {
    Unknown,
    /// Being looked at: who comes to it again has gone in a circle.
    Open,
    Positional,
}

struct Walk<'a> {
    definitions: &'a [Definition],
    states: Vec<State>,
}

impl Walk<'_> {
    fn shape(&mut self, shape: &Shape) -> bool {
        match shape {
            Shape::Option(item) | Shape::Array(item, _) => self.shape(item),
            // Without names nothing takes no bytes, and a stranger's ten bytes say that there are 2^64 of it to be read.
            Shape::List(item) | Shape::Set(item) => self.shape(item) && !self.is_nothing(item),
            Shape::Map(key, value) => {
                self.shape(key) && self.shape(value) && !(self.is_nothing(key) && self.is_nothing(value))
            }
            Shape::Tuple(items) => items.iter().all(|item| self.shape(item)),
            Shape::Named(index) => self.named(*index),
            _ => true,
        }
    }

    /// True for what takes no bytes. It is asked of what does not contain itself.
    fn is_nothing(&self, shape: &Shape) -> bool {
        match shape {
            Shape::Unit | Shape::Marker | Shape::Array(_, 0) => true,
            Shape::Array(item, _) => self.is_nothing(item),
            Shape::Tuple(items) => items.iter().all(|item| self.is_nothing(item)),
            Shape::Named(index) => match &self.definitions[*index].body {
                Body::Struct { fields, .. } => fields.iter().all(|field| self.is_nothing(&field.shape)),
                Body::Type(shape) => self.is_nothing(shape),
                Body::Enum { .. } => false,
            },
            _ => false,
        }
    }

    fn named(&mut self, index: usize) -> bool {
        match self.states[index] {
            State::Positional => return true,
            State::Open => return false,
            State::Unknown => self.states[index] = State::Open,
        }
        let definitions = self.definitions;
        let is_positional = match &definitions[index].body {
            Body::Struct { fields, .. } => self.fields(fields),
            Body::Enum { tagging, variants } => {
                *tagging == Tagging::External && variants.iter().all(|variant| self.content(&variant.content))
            }
            Body::Type(shape) => self.shape(shape),
        };
        if is_positional {
            self.states[index] = State::Positional;
        }
        is_positional
    }

    fn content(&mut self, content: &Content) -> bool {
        match content {
            Content::Unit => true,
            Content::Tuple(items) => items.iter().all(|item| self.shape(item)),
            Content::Struct { fields, .. } => self.fields(fields),
        }
    }

    fn fields(&mut self, fields: &[Field]) -> bool {
        fields.iter().all(|field| !field.is_sometimes && self.shape(&field.shape))
    }
}
