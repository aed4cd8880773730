//! The trait: what a type tells of itself.

use super::{
    definitions::Definitions,
    shape::{Field, Shape},
};

/// A type whose messages others can read by a schema: what serde writes for it.
///
/// `#[derive(Schema)]` makes it from the type and its serde attributes. Written by hand, it must say what serde writes, or two sides take for
/// compatible what is not. [`SchemaText::of`](super::SchemaText::of) turns it into text.
#[diagnostic::on_unimplemented(
    message = "nobody knows what `{Self}` looks like to others",
    label = "`Schema` is not implemented for `{Self}`",
    note = "derive it beside `Serialize` and `Deserialize`; for a type of another crate, say on the field what it is written as: `#[schema(as = String)]`"
)]
pub trait Schema {
    /// Whether a struct's field of this type may be absent without an attribute that says so, as serde has it for `Option`.
    const MAY_BE_ABSENT: bool = false;

    /// The shape of its values; structs and enums are entered in `definitions` on the way.
    fn shape(definitions: &mut Definitions) -> Shape;
}

/// A struct whose fields can stand among those of another: what `#[serde(flatten)]` takes. Derived along with [`Schema`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be flattened into a struct with a schema",
    label = "its fields have no fixed names, or it refuses unknown ones",
    note = "a struct with named fields, `#[derive(Schema)]` and without `deny_unknown_fields` can; maps, options and enums cannot"
)]
pub trait Flat: Schema {
    /// Its fields, in their order.
    fn fields(definitions: &mut Definitions) -> Vec<Field>;
}

impl<T: Flat + ?Sized> Flat for Box<T> {
    fn fields(definitions: &mut Definitions) -> Vec<Field> {
        T::fields(definitions)
    }
}
