//! The definitions of one schema while its types tell of themselves.

use std::{any::type_name, collections::HashMap};

use super::shape::{Body, Definition, Shape};

/// Collects the structs and enums that a type uses, each once. [`Schema::shape`](super::Schema::shape) is given one.
#[derive(Debug, Default)]
pub struct Definitions {
    entries: Vec<Definition>,
    /// Where each type's definition is.
    known: HashMap<Key, usize>,
    /// Types whose shape is being told and that have no definition so far.
    open: Vec<Key>,
    has_flattened: bool,
}

/// A type: its full name, and where it stands, for two blocks of one function can each have a type of one name.
type Key = (&'static str, &'static str);

impl Definitions {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn finish(self) -> Vec<Definition> {
        self.entries
    }

    pub(super) const fn has_flattened(&self) -> bool {
        self.has_flattened
    }

    /// Notes that the fields of one struct stand among those of another, which the text does not show.
    pub const fn note_flattened(&mut self) {
        self.has_flattened = true;
    }

    /// The shape of a type with a definition, which `body` tells if nobody has so far. `place` is where the type stands in its source.
    pub fn named<T: ?Sized>(&mut self, place: &'static str, name: &str, body: impl FnOnce(&mut Self) -> Body) -> Shape {
        let key = (type_name::<T>(), place);
        if let Some(&index) = self.known.get(&key) {
            return Shape::Named(index);
        }
        let index = self.reserve(key, name);
        self.entries[index].body = body(self);
        Shape::Named(index)
    }

    /// The shape of a type that is what it holds, unless it holds itself: then it has a definition, too.
    pub fn inline<T: ?Sized>(
        &mut self,
        place: &'static str,
        name: &str,
        shape: impl FnOnce(&mut Self) -> Shape,
    ) -> Shape {
        let key = (type_name::<T>(), place);
        if let Some(&index) = self.known.get(&key) {
            return Shape::Named(index);
        }
        if self.open.contains(&key) {
            return Shape::Named(self.reserve(key, name));
        }
        self.open.push(key);
        let told = shape(self);
        self.open.pop();
        match self.known.get(&key) {
            Some(&index) => {
                self.entries[index].body = Body::Type(told);
                Shape::Named(index)
            }
            None => told,
        }
    }

    fn reserve(&mut self, key: Key, name: &str) -> usize {
        let mut unique = name.to_owned();
        let mut nth = 2;
        while self.entries.iter().any(|entry| entry.name == unique) {
            unique = format!("{name}~{nth}");
            nth += 1;
        }
        let index = self.entries.len();
        self.entries.push(Definition { name: unique, body: Body::Type(Shape::Unit) });
        self.known.insert(key, index);
        index
    }
}
