//! Whether what one side writes can be read by the other.
//!
//! Pairs of shapes wait in a queue and each is looked at once, so types that contain themselves end, nothing is recursive, and differences come
//! from the outside in. What a peer sends decides how many pairs there are; hence the limits.

use std::{
    collections::{HashSet, VecDeque},
    ptr,
};

use super::{
    difference::{Difference, DifferenceKind},
    name::write_name,
    render::{render, shape_text, variant_text, write_tagging},
    shape::{Body, Content, Field, Shape, Tagging, Variant},
    text::SchemaText,
};

/// The most pairs of shapes that are looked at, and steps to them: a few MiB.
const WORK_MAX: usize = 1 << 17;
/// The most differences that are told.
const DIFFERENCES_MAX: usize = 64;
/// The most steps of a path that are told from either end.
const STEPS_SHOWN: usize = 8;

/// Whether a reader with the one schema can read every message of a writer with the other, through a codec that names its fields.
///
/// The rules are those of `docs/schemas.md`. What a codec cannot carry between two builds of one type, as numbers that are not finite in JSON, no
/// schema makes it carry.
///
/// # Errors
/// All that is in the way, from the outside in; at most 64 differences.
pub fn can_read(writer: &SchemaText, reader: &SchemaText) -> Result<(), Vec<Difference>> {
    if writer == reader {
        return Ok(());
    }
    let mut comparison = Comparison {
        writer,
        reader,
        queue: VecDeque::new(),
        seen: HashSet::new(),
        path: Vec::new(),
        differences: Vec::new(),
    };
    comparison.run();
    if comparison.differences.is_empty() { Ok(()) } else { Err(comparison.differences) }
}

struct Comparison<'a> {
    writer: &'a SchemaText,
    reader: &'a SchemaText,
    queue: VecDeque<(&'a Shape, &'a Shape, usize)>,
    /// Pairs that were queued, by address.
    seen: HashSet<(*const Shape, *const Shape)>,
    /// Steps from the message inwards, each with the one before it.
    path: Vec<(usize, Step<'a>)>,
    differences: Vec<Difference>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Message,
    Type(&'a str),
    Name(&'a str),
    Item,
    Key,
    Value,
    Position(usize),
}

impl<'a> Comparison<'a> {
    fn run(&mut self) {
        let step = match self.reader.root() {
            Shape::Named(index) => Step::Type(&self.reader.definitions()[*index].name),
            _ => Step::Message,
        };
        self.path.push((0, step));
        self.queue.push_back((self.writer.root(), self.reader.root(), 0));
        while let Some((writer, reader, at)) = self.queue.pop_front() {
            self.pair(writer, reader, at);
            if self.differences.len() >= DIFFERENCES_MAX {
                self.differences.truncate(DIFFERENCES_MAX);
                return;
            }
            if self.seen.len() + self.path.len() > WORK_MAX {
                let what = format!("the two are too large to compare: more than {WORK_MAX} steps");
                self.differ(at, DifferenceKind::TooMuch, what);
                return;
            }
        }
    }

    fn pair(&mut self, writer: &'a Shape, reader: &'a Shape, at: usize) {
        let (writer, reader) = (self.writer.resolve(writer), self.reader.resolve(reader));
        if !self.seen.insert((ptr::from_ref(writer), ptr::from_ref(reader))) {
            return;
        }
        match (writer, reader) {
            (Shape::Integer(w), Shape::Integer(r)) if r.holds(*w) => {}
            (Shape::F32, Shape::F32 | Shape::F64)
            | (Shape::F64, Shape::F64)
            | (Shape::Bool, Shape::Bool)
            | (Shape::Char, Shape::Char)
            | (Shape::Text, Shape::Text)
            | (Shape::Bytes, Shape::Bytes)
            | (Shape::Unit, Shape::Unit)
            | (Shape::Marker, Shape::Marker) => {}
            (Shape::Option(w), Shape::Option(r)) => self.queue.push_back((w, r, at)),
            (w, Shape::Option(r)) => self.queue.push_back((w, r, at)),
            (Shape::List(w) | Shape::Set(w) | Shape::Array(w, _), Shape::List(r) | Shape::Set(r)) => {
                self.inside(w, r, at, Step::Item);
            }
            (Shape::Array(w, sent), Shape::Array(r, read)) => {
                if sent != read {
                    self.count(at, *sent, *read);
                }
                self.inside(w, r, at, Step::Item);
            }
            (Shape::Tuple(w), Shape::Tuple(r)) => self.positions(w, r, at),
            (Shape::Map(w_key, w_value), Shape::Map(r_key, r_value)) => {
                self.inside(w_key, r_key, at, Step::Key);
                self.inside(w_value, r_value, at, Step::Value);
            }
            (Shape::Named(w), Shape::Named(r)) => self.bodies(*w, *r, writer, reader, at),
            _ => self.kinds(writer, reader, at),
        }
    }

    fn bodies(&mut self, w: usize, r: usize, writer: &'a Shape, reader: &'a Shape, at: usize) {
        let (ours, theirs) = (self.reader, self.writer);
        match (&theirs.definitions()[w].body, &ours.definitions()[r].body) {
            (Body::Struct { fields: w, .. }, Body::Struct { fields: r, is_strict }) => {
                self.fields(w, r, *is_strict, at);
            }
            (Body::Enum { tagging: w, .. }, Body::Enum { tagging: r, .. }) if w != r => {
                let what = format!("the sender writes an enum {}, the receiver reads one {}", told(w), told(r));
                self.differ(at, DifferenceKind::Tagging, what);
            }
            (Body::Enum { tagging: Tagging::Untagged, .. }, Body::Enum { .. }) => {
                // Nothing says which variant is meant, so every difference could change the meaning unnoticed.
                if render(writer, theirs.definitions()) != render(reader, ours.definitions()) {
                    let what = "an untagged enum must be the same on both sides, and the sender's is another";
                    self.differ(at, DifferenceKind::Tagging, what.to_owned());
                }
            }
            (Body::Enum { tagging, variants: w }, Body::Enum { variants: r, .. }) => self.variants(tagging, w, r, at),
            _ => self.kinds(writer, reader, at),
        }
    }

    fn fields(&mut self, writer: &'a [Field], reader: &'a [Field], is_strict: bool, at: usize) {
        for field in reader {
            let mut found = writer.iter().filter(|candidate| field.answers_to(&candidate.name));
            let (first, second) = (found.next(), found.next());
            let inner = self.step(at, Step::Name(&field.name));
            match (first, second) {
                (None, _) if !field.may_be_absent() => {
                    let what = "the sender does not write it, the receiver needs it".to_owned();
                    self.differ(inner, DifferenceKind::Missing, what);
                }
                (None, _) => {}
                (Some(first), Some(second)) => {
                    let what = format!(
                        "the sender writes {} and {}, one field of the receiver",
                        quoted(&first.name),
                        quoted(&second.name)
                    );
                    self.differ(inner, DifferenceKind::Ambiguous, what);
                }
                (Some(sent), None) => {
                    if sent.is_sometimes && !field.may_be_absent() {
                        let what = "the sender may leave it out, the receiver needs it".to_owned();
                        self.differ(inner, DifferenceKind::Sometimes, what);
                    }
                    self.queue.push_back((&sent.shape, &field.shape, inner));
                }
            }
        }
        if is_strict {
            for sent in writer.iter().filter(|sent| !reader.iter().any(|field| field.answers_to(&sent.name))) {
                let inner = self.step(at, Step::Name(&sent.name));
                let what = "the sender writes it, the receiver refuses unknown fields".to_owned();
                self.differ(inner, DifferenceKind::Unexpected, what);
            }
        }
    }

    fn variants(&mut self, tagging: &Tagging, writer: &'a [Variant], reader: &'a [Variant], at: usize) {
        for sent in writer {
            let inner = self.step(at, Step::Name(&sent.name));
            let known = reader.iter().find(|variant| variant.name == sent.name || variant.aliases.contains(&sent.name));
            match known {
                Some(known) => self.contents(sent, known, inner),
                None if reader.iter().any(|variant| variant.is_other) => {
                    // Only where the name is a field of its own can a reader step over what comes with it.
                    let is_skipped = matches!(tagging, Tagging::Internal { .. });
                    if !is_skipped && sent.content != Content::Unit {
                        let what = "the sender may write it with a content, the receiver takes unknown variants without one only";
                        self.differ(inner, DifferenceKind::UnknownVariant, what.to_owned());
                    }
                }
                None => {
                    let what = "the sender may write it, the receiver has no such variant".to_owned();
                    self.differ(inner, DifferenceKind::UnknownVariant, what);
                }
            }
        }
    }

    fn contents(&mut self, writer: &'a Variant, reader: &'a Variant, at: usize) {
        match (&writer.content, &reader.content) {
            (Content::Unit, Content::Unit) => {}
            (Content::Tuple(w), Content::Tuple(r)) => match (w.as_slice(), r.as_slice()) {
                ([w], [r]) => self.queue.push_back((w, r, at)),
                // One value is written as it is, several as a list.
                ([_], _) | (_, [_]) => self.count(at, w.len() as u64, r.len() as u64),
                (w, r) => self.positions(w, r, at),
            },
            (Content::Struct { fields: w, .. }, Content::Struct { fields: r, is_strict }) => {
                self.fields(w, r, *is_strict, at);
            }
            _ => {
                let sent = shortened(variant_text(writer, self.writer.definitions()));
                let read = shortened(variant_text(reader, self.reader.definitions()));
                self.differ(at, DifferenceKind::Kind, format!("the sender writes {sent}, the receiver reads {read}"));
            }
        }
    }

    fn positions(&mut self, writer: &'a [Shape], reader: &'a [Shape], at: usize) {
        if writer.len() != reader.len() {
            self.count(at, writer.len() as u64, reader.len() as u64);
        }
        for (position, (w, r)) in writer.iter().zip(reader).enumerate() {
            self.inside(w, r, at, Step::Position(position));
        }
    }

    fn inside(&mut self, writer: &'a Shape, reader: &'a Shape, at: usize, step: Step<'a>) {
        let at = self.step(at, step);
        self.queue.push_back((writer, reader, at));
    }

    fn step(&mut self, from: usize, step: Step<'a>) -> usize {
        self.path.push((from, step));
        self.path.len() - 1
    }

    fn kinds(&mut self, writer: &Shape, reader: &Shape, at: usize) {
        let (sent, read) = (in_words(writer, self.writer), in_words(reader, self.reader));
        self.differ(at, DifferenceKind::Kind, format!("the sender writes {sent}, the receiver reads {read}"));
    }

    fn count(&mut self, at: usize, sent: u64, read: u64) {
        let values = |count| if count == 1 { "1 value".to_owned() } else { format!("{count} values") };
        let what = format!("the sender writes {}, the receiver reads {read}", values(sent));
        self.differ(at, DifferenceKind::Count, what);
    }

    fn differ(&mut self, at: usize, kind: DifferenceKind, what: String) {
        let path = self.path_text(at);
        self.differences.push(Difference { path, kind, what });
    }

    fn path_text(&self, mut at: usize) -> String {
        let mut steps = Vec::new();
        while at != 0 {
            let (before, step) = self.path[at];
            steps.push(step);
            at = before;
        }
        steps.push(self.path[0].1);
        steps.reverse();
        let mut text = String::new();
        for (nth, step) in steps.iter().enumerate() {
            if steps.len() > 2 * STEPS_SHOWN && (STEPS_SHOWN..steps.len() - STEPS_SHOWN).contains(&nth) {
                if nth == STEPS_SHOWN {
                    text.push_str(".…");
                }
                continue;
            }
            match step {
                Step::Message => text.push_str("message"),
                Step::Type(name) => write_name(&mut text, name),
                Step::Name(name) => {
                    text.push('.');
                    write_name(&mut text, name);
                }
                Step::Item => text.push_str("[]"),
                Step::Key => text.push_str("[key]"),
                Step::Value => text.push_str("[value]"),
                Step::Position(position) => text.push_str(&format!(".{position}")),
            }
        }
        text
    }
}

/// A shape as it is called in a sentence.
fn in_words(shape: &Shape, schema: &SchemaText) -> String {
    let word = match shape {
        Shape::Named(index) => match schema.definitions()[*index].body {
            Body::Struct { .. } => "struct ",
            Body::Enum { .. } => "enum ",
            Body::Type(_) => "",
        },
        _ => "",
    };
    shortened(format!("{word}{}", shape_text(shape, schema.definitions())))
}

fn told(tagging: &Tagging) -> String {
    let mut text = String::new();
    write_tagging(&mut text, tagging);
    if text.is_empty() { "tagged from outside".to_owned() } else { text.trim_end().to_owned() }
}

fn quoted(name: &str) -> String {
    let mut text = String::new();
    write_name(&mut text, name);
    text
}

fn shortened(text: String) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
