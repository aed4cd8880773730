//! Headers: the control information that travels beside a payload.

use std::fmt;

/// An ordered list of named values; a name may come several times.
///
/// Names keep their case and are compared exactly, as in NATS. A name is printable ASCII without `:` and spaces; a value is any text
/// without line breaks, with no spaces at its ends.
///
/// ```
/// use crosstie_core::Headers;
///
/// let mut headers = Headers::new();
/// headers.append("Content-Type", "application/json")?;
/// headers.append("Tie-Trace", "a")?;
/// headers.append("Tie-Trace", "b")?;
/// assert_eq!(headers.get("Content-Type"), Some("application/json"));
/// assert_eq!(headers.all("Tie-Trace").collect::<Vec<_>>(), ["a", "b"]);
/// # Ok::<(), crosstie_core::HeaderError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Vec<(String, String)>,
}

impl Headers {
    /// The most entries one message may carry.
    pub const MAX_ENTRIES: usize = 1024;

    /// No headers. Allocates nothing.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a value, keeping those already there under the same name.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if name or value breaks the rules, or there are [`Headers::MAX_ENTRIES`] already.
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<String>) -> Result<(), HeaderError> {
        let (name, value) = (name.into(), value.into());
        check_name(&name)?;
        let value = check_value(&name, value)?;
        if self.entries.len() == Self::MAX_ENTRIES {
            return Err(HeaderError::TooMany);
        }
        self.entries.push((name, value));
        Ok(())
    }

    /// Puts one value in the place of all those under `name`.
    ///
    /// # Errors
    ///
    /// As [`Headers::append`]; the old values are kept then.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Result<(), HeaderError> {
        let name = name.into();
        let mut fresh = Self { entries: self.entries.iter().filter(|(n, _)| *n != name).cloned().collect() };
        fresh.append(name, value)?;
        *self = fresh;
        Ok(())
    }

    /// The first value under `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(n, value)| (n == name).then_some(value))
    }

    /// Every value under `name`, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter_map(move |(n, value)| (n == name).then_some(value))
    }

    /// Removes every value under `name` and says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(n, _)| n != name);
        self.entries.len() < before
    }

    /// Every name and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

fn check_name(name: &str) -> Result<(), HeaderError> {
    let valid = |b: u8| b.is_ascii_graphic() && b != b':';
    if !name.is_empty() && name.bytes().all(valid) {
        return Ok(());
    }
    Err(HeaderError::Name { name: name.to_owned() })
}

fn check_value(name: &str, value: String) -> Result<String, HeaderError> {
    if value.contains(['\r', '\n']) {
        return Err(HeaderError::Value { name: name.to_owned(), value });
    }
    let trimmed = value.trim_matches([' ', '\t']);
    Ok(if trimmed.len() == value.len() { value } else { trimmed.to_owned() })
}

/// Why a header cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is empty or has a forbidden character.
    #[error("a header name is printable ASCII without spaces and ':', found {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// The value has a line break.
    #[error("the value of header '{name}' must not contain a line break, found {value:?}")]
    Value {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// The message is full.
    #[error("a message carries at most {} headers", Headers::MAX_ENTRIES)]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_cannot_be_smuggled_in() {
        let mut headers = Headers::new();
        assert!(matches!(headers.append("A", "x\r\nB: y"), Err(HeaderError::Value { .. })));
        assert!(matches!(headers.append("A: x\r\nB", "y"), Err(HeaderError::Name { .. })));
        assert!(headers.is_empty());
    }

    #[test]
    fn insert_replaces_and_append_adds() {
        let mut headers = Headers::new();
        headers.append("K", "1").unwrap();
        headers.append("K", "2").unwrap();
        headers.insert("K", " 3 ").unwrap();
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("K", "3")]);
        assert!(headers.insert("K", "\n").is_err());
        assert_eq!(headers.get("K"), Some("3"), "a refused insert leaves the old value");
        assert!(headers.remove("K") && !headers.remove("K"));
    }

    #[test]
    fn the_number_of_headers_is_bounded() {
        let mut headers = Headers::new();
        for i in 0..Headers::MAX_ENTRIES {
            headers.append("N", i.to_string()).unwrap();
        }
        assert_eq!(headers.append("N", "x"), Err(HeaderError::TooMany));
    }
}
