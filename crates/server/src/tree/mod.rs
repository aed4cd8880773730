//! A configuration as a tree whose every value knows where it was written.
//!
//! Both grammars, our TOML and nats-server's, become this tree; what reads it can then name the line of whatever it refuses.

mod permissions;
mod read;

use std::{fmt, sync::Arc};

pub(crate) use self::{
    permissions::{permissions, permissions_and_mistakes},
    read::{duration_text, kept, refuse_unknown, suggestion, unknown},
};
use crate::regular_file::read_regular_file;

/// The largest configuration file in bytes.
pub(crate) const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Where something was written: a file with line and column, a flag, or an environment variable.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: Arc<str>,
    /// Counted from 1; 0 if the source has no lines.
    pub(crate) line: usize,
    /// Counted from 1, in characters.
    pub(crate) column: usize,
}

impl Place {
    /// A place without lines: a flag, an environment variable, a whole file.
    pub(crate) fn whole(source: impl Into<Arc<str>>) -> Self {
        Self { source: source.into(), line: 0, column: 0 }
    }

    /// The place of the byte at `offset` of `text`.
    pub(crate) fn at(source: &Arc<str>, text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let start_of_line = before.rfind('\n').map_or(0, |index| index + 1);
        Self {
            source: Arc::clone(source),
            line: before.matches('\n').count() + 1,
            column: before[start_of_line..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            f.write_str(&self.source)
        } else {
            write!(f, "{}:{}:{}", self.source, self.line, self.column)
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value, and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What kind of value it is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Float(_) => "a fraction",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl PartialEq for Node {
    /// Equal if the values are, wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Keys and values in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) place: Place,
    pub(crate) node: Node,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.node == other.node
    }
}

impl Table {
    /// The value of `key`. Letter case counts.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }
}

/// Why a configuration was refused, and where.
///
/// `Display` is `file:line:column: sentence`, or the flag or environment variable in the place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    place: Place,
    message: String,
}

impl ConfigError {
    pub(crate) fn new(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into() }
    }

    /// The file, flag or environment variable.
    pub fn source(&self) -> &str {
        &self.place.source
    }

    /// The line, counted from 1, if the source has lines.
    pub const fn line(&self) -> Option<usize> {
        match self.place.line {
            0 => None,
            line => Some(line),
        }
    }

    /// The column in characters, counted from 1, if the source has lines.
    pub const fn column(&self) -> Option<usize> {
        match self.place.line {
            0 => None,
            _ => Some(self.place.column),
        }
    }

    /// The sentence alone.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for crosstie_core::Error {
    fn from(error: ConfigError) -> Self {
        Self::new(crosstie_core::Kind::InvalidInput, error.to_string())
    }
}

/// The text of the file at `path`.
pub(crate) fn read_file(path: &std::path::Path, blame: &Place) -> Result<String, ConfigError> {
    read_regular_file(path, MAX_FILE)
        .map_err(|error| ConfigError::new(blame, format!("cannot read '{}': {error}", path.display())))
}
