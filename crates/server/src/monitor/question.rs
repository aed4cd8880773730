//! What is asked of a page: the part of a URL behind the question mark, read as nats-server reads it.

use std::collections::HashMap;

use crosstie_core::Subject;

/// How many rows a page has unless asked otherwise, as in nats-server.
const LIMIT: usize = 1024;

/// The one account there is, as nats-server calls it.
pub(super) const ACCOUNT: &str = "$G";

/// Parameters by name; the last of a name counts.
pub(super) struct Question {
    parameters: HashMap<String, String>,
}

impl Question {
    pub(super) fn parse(query: Option<&str>) -> Result<Self, String> {
        let pairs = axum::extract::Query::<HashMap<String, String>>::try_from_uri(
            &format!("/?{}", query.unwrap_or_default()).parse().map_err(|error| format!("the query: {error}"))?,
        );
        Ok(Self { parameters: pairs.map_err(|error| format!("the query: {error}"))?.0 })
    }

    /// The text of a parameter; `None` if it was not given or is empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// True if a parameter says so.
    pub(super) fn yes(&self, name: &str) -> Result<bool, String> {
        match self.text(name) {
            None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(false),
            Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(true),
            Some(other) => Err(format!("{name}: expected 1, true, 0 or false, found '{other}'")),
        }
    }

    /// A whole number, which may be negative.
    fn number(&self, name: &str) -> Result<Option<i64>, String> {
        let read = |text: &str| text.parse().map_err(|_| format!("{name}: expected a whole number, found '{text}'"));
        self.text(name).map(read).transpose()
    }

    /// The number of a connection.
    pub(super) fn cid(&self) -> Result<Option<u64>, String> {
        let read = |text: &str| text.parse().map_err(|_| format!("cid: expected a number from 0, found '{text}'"));
        self.text("cid").map(read).transpose()
    }

    /// Which rows: how many are skipped, and how many are shown at most.
    pub(super) fn rows(&self) -> Result<(usize, usize), String> {
        let count = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
        let limit = count(self.number("limit")?).filter(|limit| *limit > 0).unwrap_or(LIMIT);
        Ok((count(self.number("offset")?).unwrap_or(0), limit))
    }

    /// A subject to which messages are published.
    pub(super) fn subject(&self, name: &str) -> Result<Option<Subject>, String> {
        self.text(name).map(|text| text.parse().map_err(|error| format!("{name}: {error}"))).transpose()
    }

    /// True unless another account is asked for than there is.
    pub(super) fn account_is_ours(&self) -> bool {
        self.text("acc").is_none_or(|account| account == ACCOUNT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(query: &str) -> Question {
        Question::parse(Some(query)).unwrap()
    }

    #[test]
    fn numbers_below_what_makes_sense_mean_the_default_as_in_nats_server() {
        assert_eq!(question("limit=-1&offset=-5").rows(), Ok((0, 1024)));
        assert_eq!(question("limit=0").rows(), Ok((0, 1024)));
        assert_eq!(question("limit=7&offset=3").rows(), Ok((3, 7)));
        assert!(question("limit=many").rows().unwrap_err().contains("'many'"));
    }

    #[test]
    fn yes_and_no_are_those_of_go_and_nothing_else() {
        assert_eq!(
            (question("a=1").yes("a"), question("a=T").yes("a"), question("").yes("a")),
            (Ok(true), Ok(true), Ok(false))
        );
        assert!(question("a=yes").yes("a").is_err());
    }

    #[test]
    fn what_is_escaped_is_read() {
        assert_eq!(question("acc=%24G").text("acc"), Some("$G"));
        assert!(question("acc=%24G").account_is_ours() && !question("acc=X").account_is_ours());
    }
}
