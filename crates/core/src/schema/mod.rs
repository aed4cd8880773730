//! Schemas: what a type looks like to others, as text, as sixteen bytes, and whether one can read what another writes.
//!
//! The text, the hash and the rules are those of `docs/schemas.md`.

mod can_read;
mod definitions;
mod difference;
mod name;
mod of_type;
mod parse;
mod positional;
mod refused;
mod render;
mod shape;
mod std_types;
mod text;

pub use self::{
    can_read::can_read,
    definitions::Definitions,
    difference::{Difference, DifferenceKind},
    of_type::{Flat, Schema},
    positional::is_positional,
    refused::SchemaError,
    shape::{Body, Content, Definition, Field, Integer, Shape, Tagging, Variant},
    text::{SCHEMA_TEXT_MAX, SchemaHash, SchemaText},
};
