//! The name of a segment, and the name of the file that holds one generation of it.

use std::{fmt, str::FromStr};

/// What a segment is called: 1 to 64 bytes of `a-z 0-9 . _ -`, not beginning with a dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName(String);

/// A text that is no name of a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a name of 1 to 64 of `a-z 0-9 . _ -` that does not begin with a dot, came `{came}`: {why}")]
pub struct NameError {
    came: String,
    why: String,
}

impl SegmentName {
    /// The longest name, in bytes.
    pub const MAX: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file that holds generation `generation`.
    pub(crate) fn file(&self, generation: u32) -> String {
        format!("{}@{generation}", self.0)
    }

    /// The name and generation that a file of this name holds; `None` if it is no segment's.
    pub(crate) fn of_file(file: &str) -> Option<(Self, u32)> {
        let (name, generation) = file.rsplit_once('@')?;
        let counted: u32 = generation.parse().ok()?;
        // `+1` and `01` are read as one, but nobody writes them.
        if counted == 0 || counted.to_string() != generation {
            return None;
        }
        Some((name.parse().ok()?, counted))
    }
}

impl FromStr for SegmentName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let refuse = |why: String| Err(NameError { came: text.chars().take(80).collect(), why });
        if text.is_empty() {
            return refuse("it is empty".to_owned());
        }
        if text.len() > Self::MAX {
            return refuse(format!("it has {} bytes", text.len()));
        }
        if text.starts_with('.') {
            return refuse("it begins with a dot".to_owned());
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        match text.chars().find(|c| !allowed(*c)) {
            Some(other) => refuse(format!("{other:?} is not allowed")),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for SegmentName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_fits_a_file_and_a_shell() {
        for good in ["a", "ledger", "shop.orders-2_x", &"n".repeat(64)] {
            assert_eq!(good.parse::<SegmentName>().unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", "it is empty"),
            (".hidden", "begins with a dot"),
            ("a/b", "'/' is not allowed"),
            ("Upper", "'U' is not allowed"),
            ("a@1", "'@' is not allowed"),
            (&"n".repeat(65), "65 bytes"),
        ] {
            let told = bad.parse::<SegmentName>().unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_file_holds_one_generation_of_one_name() {
        let name: SegmentName = "ledger".parse().unwrap();
        assert_eq!(SegmentName::of_file(&name.file(12)), Some((name, 12)));
        for other in ["ledger", "ledger@", "ledger@0", "ledger@01", "ledger@+1", ".ledger@1", "ledger@1.x", "@1"] {
            assert_eq!(SegmentName::of_file(other), None, "{other}");
        }
    }
}
