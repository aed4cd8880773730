//! How much a configuration may become: a few lines that include and repeat each other must not fill the memory.

use crate::tree::{Node, Value};

/// What is left of it.
pub(super) struct Budget {
    files: usize,
    bytes: usize,
}

impl Budget {
    /// The files that may be included, each as often as it is.
    pub(super) const MAX_FILES: usize = 256;
    /// The bytes of all files and of the values that variables stand for.
    pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;

    pub(super) const fn new() -> Self {
        Self { files: Self::MAX_FILES, bytes: Self::MAX_BYTES }
    }

    /// Another file.
    pub(super) fn file(&mut self) -> Result<(), String> {
        self.files = self.files.checked_sub(1).ok_or_else(|| {
            format!(
                "expected at most {} included files, found more: does one include others that include the same again?",
                Self::MAX_FILES
            )
        })?;
        Ok(())
    }

    /// More bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<(), String> {
        self.bytes = self.bytes.checked_sub(count).ok_or_else(|| {
            format!(
                "expected at most {} MiB in all with everything that is included and repeated, found more",
                Self::MAX_BYTES / 1024 / 1024
            )
        })?;
        Ok(())
    }

    /// The copy of a value that is repeated.
    pub(super) fn copy(&mut self, node: &Node) -> Result<(), String> {
        self.bytes(size_of::<Node>())?;
        match &node.value {
            Value::Text(text) => self.bytes(text.len()),
            Value::List(items) => items.iter().try_for_each(|item| self.copy(item)),
            Value::Table(table) => table.entries.iter().try_for_each(|entry| {
                self.bytes(entry.key.len())?;
                self.copy(&entry.node)
            }),
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) => Ok(()),
        }
    }
}
