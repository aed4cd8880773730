//! The differences from nats-server that are meant, each with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What may differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Keys of INFO that one of the servers does not send.
    pub info_keys: BTreeSet<String>,
    /// Cases whose transcripts differ, and why. Each must differ, or its line is to be removed.
    pub cases: BTreeMap<String, String>,
}

impl Differences {
    /// Reads the file of differences:
    ///
    /// ```text
    /// info git_commit: names a commit of another program
    /// case pub/split pedantic: the error is sent once
    /// ```
    ///
    /// # Errors
    ///
    /// The first line that does not parse, or what the file system says.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut differences = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || format!("line {}: expected `info KEY: reason` or `case NAME: reason`: {line}", at + 1);
            let (what, rest) = line.split_once(' ').ok_or_else(wrong)?;
            let (name, reason) = rest.split_once(": ").ok_or_else(wrong)?;
            match what {
                "info" => drop(differences.info_keys.insert(name.to_owned())),
                "case" => drop(differences.cases.insert(name.to_owned(), reason.to_owned())),
                _ => return Err(wrong()),
            }
        }
        Ok(differences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_has_a_reason() {
        let differences = Differences::parse("# why\n\ninfo xkey: no such key\ncase pub/x y: because: yes\n").unwrap();
        assert!(differences.info_keys.contains("xkey"));
        assert_eq!(differences.cases["pub/x y"], "because: yes");
        for text in ["case pub/x", "info xkey", "other x: y"] {
            assert!(Differences::parse(text).is_err(), "{text}");
        }
    }
}
