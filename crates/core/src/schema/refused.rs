//! Why a text is no schema.

use std::fmt;

/// What is wrong with the text of a schema, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
}

impl SchemaError {
    /// The line, from 1; 0 where the whole text is meant.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The byte in the line, from 1; 0 where the whole line or text is meant.
    pub fn column(&self) -> usize {
        self.column
    }

    pub(super) fn of_text(what: impl Into<String>) -> Self {
        Self { line: 0, column: 0, what: what.into() }
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no schema: ")?;
        match (self.line, self.column) {
            (0, _) => {}
            (line, 0) => write!(f, "line {line}: ")?,
            (line, column) => write!(f, "line {line}, column {column}: ")?,
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for SchemaError {}
