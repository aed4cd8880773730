//! Shapes as text: the one way to write them.

use std::fmt::Write as _;

use super::{
    name::{write_name, write_type_name},
    shape::{Body, Content, Definition, Field, Shape, Tagging, Variant},
};

/// The whole text of a shape: itself, unless it is a name, and every definition that it needs, in the order of first mention.
pub(super) fn render(root: &Shape, definitions: &[Definition]) -> String {
    let mut text = String::new();
    let mut order = Order { indexes: Vec::new(), is_known: vec![false; definitions.len()] };
    if !matches!(root, Shape::Named(_)) {
        write_shape(&mut text, root, definitions);
        text.push('\n');
    }
    order.mention(root);
    let mut next = 0;
    while let Some(&index) = order.indexes.get(next) {
        write_definition(&mut text, &definitions[index], definitions);
        text.push('\n');
        order.mention_all(&definitions[index].body);
        next += 1;
    }
    text
}

/// A shape alone, as it stands after a field's name.
pub(super) fn shape_text(shape: &Shape, definitions: &[Definition]) -> String {
    let mut text = String::new();
    write_shape(&mut text, shape, definitions);
    text
}

/// A variant with what it carries.
pub(super) fn variant_text(variant: &Variant, definitions: &[Definition]) -> String {
    let mut text = String::new();
    write_name(&mut text, &variant.name);
    write_content(&mut text, &variant.content, definitions);
    text
}

/// How an enum says which variant it is; nothing for the usual way.
pub(super) fn write_tagging(text: &mut String, tagging: &Tagging) {
    match tagging {
        Tagging::External => {}
        Tagging::Internal { tag } => {
            text.push_str("tag(");
            write_name(text, tag);
            text.push_str(") ");
        }
        Tagging::Adjacent { tag, content } => {
            text.push_str("tag(");
            write_name(text, tag);
            text.push_str(", ");
            write_name(text, content);
            text.push_str(") ");
        }
        Tagging::Untagged => text.push_str("untagged "),
    }
}

/// The definitions that were mentioned, the first first.
struct Order {
    indexes: Vec<usize>,
    is_known: Vec<bool>,
}

impl Order {
    fn mention_all(&mut self, body: &Body) {
        match body {
            Body::Type(shape) => self.mention(shape),
            Body::Struct { fields, .. } => fields.iter().for_each(|field| self.mention(&field.shape)),
            Body::Enum { variants, .. } => {
                for variant in variants {
                    match &variant.content {
                        Content::Unit => {}
                        Content::Tuple(items) => items.iter().for_each(|item| self.mention(item)),
                        Content::Struct { fields, .. } => fields.iter().for_each(|field| self.mention(&field.shape)),
                    }
                }
            }
        }
    }

    fn mention(&mut self, shape: &Shape) {
        match shape {
            Shape::Named(index) => {
                let is_known = std::mem::replace(&mut self.is_known[*index], true);
                self.indexes.extend((!is_known).then_some(*index));
            }
            Shape::Option(item) | Shape::List(item) | Shape::Set(item) | Shape::Array(item, _) => self.mention(item),
            Shape::Map(key, value) => {
                self.mention(key);
                self.mention(value);
            }
            Shape::Tuple(items) => items.iter().for_each(|item| self.mention(item)),
            _ => {}
        }
    }
}

fn write_definition(text: &mut String, definition: &Definition, all: &[Definition]) {
    match &definition.body {
        Body::Struct { fields, is_strict } => {
            text.push_str("struct ");
            write_type_name(text, &definition.name);
            text.push(' ');
            write_fields(text, fields, *is_strict, all);
        }
        Body::Enum { tagging, variants } => {
            text.push_str("enum ");
            write_type_name(text, &definition.name);
            text.push(' ');
            write_tagging(text, tagging);
            write_braced(text, variants, |text, variant| {
                write_name(text, &variant.name);
                write_content(text, &variant.content, all);
                if variant.is_other {
                    text.push_str(" other");
                }
                write_aliases(text, &variant.aliases);
            });
        }
        Body::Type(shape) => {
            text.push_str("type ");
            write_type_name(text, &definition.name);
            text.push_str(" = ");
            write_shape(text, shape, all);
        }
    }
}

fn write_content(text: &mut String, content: &Content, all: &[Definition]) {
    match content {
        Content::Unit => {}
        Content::Tuple(items) => {
            text.push('(');
            write_list(text, items, |text, item| write_shape(text, item, all));
            text.push(')');
        }
        Content::Struct { fields, is_strict } => {
            text.push(' ');
            write_fields(text, fields, *is_strict, all);
        }
    }
}

fn write_fields(text: &mut String, fields: &[Field], is_strict: bool, all: &[Definition]) {
    write_braced(text, fields, |text, field| {
        write_name(text, &field.name);
        text.push_str(": ");
        write_shape(text, &field.shape, all);
        if field.has_default {
            text.push_str(" default");
        } else if field.is_required && matches!(field.shape, Shape::Option(_)) {
            text.push_str(" required");
        }
        if field.is_sometimes {
            text.push_str(" sometimes");
        }
        write_aliases(text, &field.aliases);
    });
    if is_strict {
        text.push_str(" strict");
    }
}

fn write_aliases(text: &mut String, aliases: &[String]) {
    if !aliases.is_empty() {
        text.push_str(" alias(");
        write_list(text, aliases, |text, alias| write_name(text, alias));
        text.push(')');
    }
}

fn write_braced<T>(text: &mut String, items: &[T], write: impl FnMut(&mut String, &T)) {
    text.push_str("{ ");
    write_list(text, items, write);
    text.push_str(if items.is_empty() { "}" } else { " }" });
}

fn write_list<T>(text: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        write(text, item);
    }
}

fn write_shape(text: &mut String, shape: &Shape, all: &[Definition]) {
    let mut around = |word: &str, items: &[&Shape]| {
        text.push_str(word);
        text.push('<');
        write_list(text, items, |text, item| write_shape(text, item, all));
    };
    match shape {
        Shape::Option(item) => around("option", &[item]),
        Shape::List(item) => around("list", &[item]),
        Shape::Set(item) => around("set", &[item]),
        Shape::Map(key, value) => around("map", &[key, value]),
        Shape::Array(item, count) => {
            around("array", &[item]);
            write!(text, ", {count}").expect("a String takes everything");
        }
        Shape::Tuple(items) => around("tuple", &items.iter().collect::<Vec<_>>()),
        Shape::Named(index) => return write_type_name(text, &all[*index].name),
        Shape::Integer(integer) => return text.push_str(integer.name()),
        Shape::Bool => return text.push_str("bool"),
        Shape::Char => return text.push_str("char"),
        Shape::Text => return text.push_str("text"),
        Shape::Bytes => return text.push_str("bytes"),
        Shape::Unit => return text.push_str("unit"),
        Shape::Marker => return text.push_str("marker"),
        Shape::F32 => return text.push_str("f32"),
        Shape::F64 => return text.push_str("f64"),
    }
    text.push('>');
}
