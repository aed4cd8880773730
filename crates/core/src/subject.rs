//! Subjects: the dotted names that messages are published to and subscribed by.
//!
//! A subject is a list of tokens joined by dots: `bank.eu.transfer`. Tokens are never empty and hold no white space. A
//! subscriber may use a pattern, in which `*` stands for exactly one token and a final `>` for one or more. A token that
//! merely contains one of these signs (`a*b`) is literal. The rules are those of the NATS protocol.

use std::{
    fmt,
    ops::Deref,
    str::{FromStr, Utf8Error},
};

use bytes::Bytes;

/// A subject that one can publish to: no wildcards.
///
/// Cloning is cheap; the text is shared.
///
/// ```
/// use crosstie_core::{Subject, SubjectPattern};
///
/// let subject: Subject = "bank.eu.transfer".parse()?;
/// let pattern: SubjectPattern = "bank.*.transfer".parse()?;
/// assert!(pattern.matches(&subject));
/// assert!("bank..transfer".parse::<Subject>().is_err());
/// # Ok::<(), crosstie_core::SubjectError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Text);

impl Subject {
    /// The longest subject in bytes. It leaves room for the rest of a protocol line of 4096 bytes.
    pub const MAX_LEN: usize = 2048;

    /// The subject in `bytes`, sharing them.
    ///
    /// # Errors
    ///
    /// [`SubjectError`] says which rule is broken, and where.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, SubjectError> {
        let text = Text::parse(bytes)?;
        match text.wildcard() {
            Some(token) => Err(SubjectError::Wildcard { subject: text.to_string(), token }),
            None => Ok(Self(text)),
        }
    }

    /// The subject as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same subject in bytes of its own: it keeps nothing alive that it was read from.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Text(Bytes::copy_from_slice(self.as_bytes())))
    }
}

/// A subject that one can subscribe to: it may hold wildcards.
///
/// Cloning is cheap; the text is shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectPattern(Text);

impl SubjectPattern {
    /// The pattern in `bytes`, sharing them.
    ///
    /// # Errors
    ///
    /// [`SubjectError`] says which rule is broken, and where.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, SubjectError> {
        let text = Text::parse(bytes)?;
        let tokens = text.split('.').count();
        match text.split('.').position(|token| token == ">") {
            Some(index) if index + 1 < tokens => {
                Err(SubjectError::NotLast { subject: text.to_string(), token: index + 1 })
            }
            _ => Ok(Self(text)),
        }
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if `subject` is one of those the pattern stands for.
    pub fn matches(&self, subject: &Subject) -> bool {
        matches(self.as_bytes(), subject.as_bytes())
    }

    /// True if the pattern is a plain subject.
    pub fn is_literal(&self) -> bool {
        self.0.wildcard().is_none()
    }
}

impl From<Subject> for SubjectPattern {
    fn from(subject: Subject) -> Self {
        Self(subject.0)
    }
}

/// Why a text is not a subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// There is nothing.
    #[error("a subject has at least one token, found nothing")]
    Empty,
    /// Two dots in a row, or a dot at either end.
    #[error("token {token} of subject '{subject}' is empty: write one dot between tokens, none at the ends")]
    EmptyToken {
        /// The text.
        subject: String,
        /// Which token, counted from 1.
        token: usize,
    },
    /// White space or a control character.
    #[error("a subject holds no white space or control characters, found {found:?} at byte {at} of {subject:?}")]
    Forbidden {
        /// The text.
        subject: String,
        /// The character.
        found: char,
        /// Its position in bytes.
        at: usize,
    },
    /// A wildcard in a subject to publish to.
    #[error("token {token} of subject '{subject}' is a wildcard: one publishes to a plain subject")]
    Wildcard {
        /// The text.
        subject: String,
        /// Which token, counted from 1.
        token: usize,
    },
    /// A `>` before the end.
    #[error("token {token} of subject '{subject}' is '>', which may only be the last one")]
    NotLast {
        /// The text.
        subject: String,
        /// Which token, counted from 1.
        token: usize,
    },
    /// More bytes than the limit.
    #[error("a subject has at most {max} bytes, found {len}")]
    TooLong {
        /// The length found.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Not UTF-8.
    #[error("a subject is UTF-8 text: {0}")]
    NotText(#[from] Utf8Error),
}

/// Shared text that obeys the rules common to subjects and patterns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text(Bytes);

impl Text {
    fn parse(bytes: Bytes) -> Result<Self, SubjectError> {
        if bytes.is_empty() {
            return Err(SubjectError::Empty);
        }
        if bytes.len() > Subject::MAX_LEN {
            return Err(SubjectError::TooLong { len: bytes.len(), max: Subject::MAX_LEN });
        }
        let text = std::str::from_utf8(&bytes)?;
        if let Some((at, found)) = text.char_indices().find(|(_, c)| c.is_whitespace() || c.is_control()) {
            return Err(SubjectError::Forbidden { subject: text.to_owned(), found, at });
        }
        if let Some(index) = text.split('.').position(str::is_empty) {
            return Err(SubjectError::EmptyToken { subject: text.to_owned(), token: index + 1 });
        }
        Ok(Self(bytes))
    }

    /// The first wildcard token, counted from 1.
    fn wildcard(&self) -> Option<usize> {
        self.split('.').position(|token| token == "*" || token == ">").map(|index| index + 1)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked to be UTF-8 when it was parsed")
    }
}

macro_rules! text_traits {
    ($type:ident) => {
        impl $type {
            /// The text as bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0.0
            }
        }

        impl FromStr for $type {
            type Err = SubjectError;

            fn from_str(text: &str) -> Result<Self, SubjectError> {
                Self::from_bytes(Bytes::copy_from_slice(text.as_bytes()))
            }
        }

        impl TryFrom<&str> for $type {
            type Error = SubjectError;

            fn try_from(text: &str) -> Result<Self, SubjectError> {
                text.parse()
            }
        }

        impl TryFrom<String> for $type {
            type Error = SubjectError;

            fn try_from(text: String) -> Result<Self, SubjectError> {
                Self::from_bytes(Bytes::from(text))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

text_traits!(Subject);
text_traits!(SubjectPattern);

/// True if `subject` can be published to, by the rules of the wire: any bytes but white space, no empty token, no wildcard.
pub fn is_valid_subject(subject: &[u8]) -> bool {
    has_valid_tokens(subject) && subject.split(|b| *b == b'.').all(|token| token != b"*" && token != b">")
}

/// True if `pattern` can be subscribed to, by the rules of the wire.
pub fn is_valid_pattern(pattern: &[u8]) -> bool {
    let inner = pattern.strip_suffix(b".>").unwrap_or(pattern);
    has_valid_tokens(pattern) && (pattern == b">" || inner.split(|b| *b == b'.').all(|token| token != b">"))
}

fn has_valid_tokens(text: &[u8]) -> bool {
    let mut token_len = 0usize;
    for byte in text {
        match byte {
            b'.' if token_len == 0 => return false,
            b'.' => token_len = 0,
            b' ' | b'\t' | b'\r' | b'\n' | 0x0c => return false,
            _ => token_len += 1,
        }
    }
    token_len > 0
}

/// True if the literal `subject` is one of those `pattern` stands for. Both are taken to be valid.
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let mut wanted = pattern.split(|b| *b == b'.');
    let mut found = subject.split(|b| *b == b'.');
    loop {
        match (wanted.next(), found.next()) {
            (Some(b">"), Some(_)) | (None, None) => return true,
            (Some(b"*"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// True if every subject that `inner` stands for is also one of `outer`'s. Both are taken to be valid.
///
/// A permission check needs this: a subscription to `a.*` is covered by `a.>` but not by `a.b`.
pub fn pattern_covers(outer: &[u8], inner: &[u8]) -> bool {
    let mut wide = outer.split(|b| *b == b'.');
    let mut narrow = inner.split(|b| *b == b'.');
    loop {
        match (wide.next(), narrow.next()) {
            (Some(b">"), Some(_)) | (None, None) => return true,
            (_, Some(b">")) => return false,
            (Some(b"*"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_token_and_the_rule() {
        let text = |s: &str| s.parse::<Subject>().unwrap_err().to_string();
        assert_eq!(text("a..b"), "token 2 of subject 'a..b' is empty: write one dot between tokens, none at the ends");
        assert_eq!(text("a.*"), "token 2 of subject 'a.*' is a wildcard: one publishes to a plain subject");
        assert_eq!(text(""), "a subject has at least one token, found nothing");
        assert!(text("a b").contains("' ' at byte 1"));
        let pattern = "a.>.b".parse::<SubjectPattern>().unwrap_err();
        assert_eq!(pattern.to_string(), "token 2 of subject 'a.>.b' is '>', which may only be the last one");
    }

    #[test]
    fn a_token_that_merely_contains_a_wildcard_sign_is_literal() {
        assert!("a*b.>c".parse::<Subject>().is_ok());
        assert!(!matches(b"a*b", b"axb"));
    }

    #[test]
    fn wildcards_match_by_token() {
        for (pattern, subject, expected) in [
            ("a.*.c", "a.b.c", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a", false),
            ("a.>", "a.b.c", true),
            (">", "a", true),
            ("*", "a.b", false),
            ("a", "a.b", false),
            ("a.b", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), subject.as_bytes()), expected, "{pattern} on {subject}");
        }
    }

    #[test]
    fn covering_is_matching_of_everything_inside() {
        for (outer, inner, expected) in [
            ("a.>", "a.*", true),
            ("a.*", "a.>", false),
            ("a.b", "a.*", false),
            (">", ">", true),
            ("*.b", "a.b", true),
            ("*", ">", false),
        ] {
            assert_eq!(pattern_covers(outer.as_bytes(), inner.as_bytes()), expected, "{outer} over {inner}");
        }
    }

    #[test]
    fn the_wire_rules_and_the_types_agree() {
        for text in
            ["a", "a.b", "", ".", "a.", ".a", "a..b", "*", ">", "a.*", "a.>", "a.>.b", ">.a", "a b", "a\tb", ">.>"]
        {
            assert_eq!(is_valid_subject(text.as_bytes()), text.parse::<Subject>().is_ok(), "{text:?}");
            assert_eq!(is_valid_pattern(text.as_bytes()), text.parse::<SubjectPattern>().is_ok(), "{text:?}");
        }
    }
}
