//! `exec:command args`: the standard input and output of a child.

use std::{
    io,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::Arc,
};

use crosstie_core::{Error, Kind};

use crate::{
    capabilities::{self, Capabilities},
    connection::Connection,
    connector::{Attempt, Connector, Instantly, unreachable},
    descriptor::DescriptorTransport,
    lifeline::{Lifeline, OwnChild},
    transport::Peer,
};

pub(crate) struct ExecConnector {
    words: Vec<String>,
}

impl ExecConnector {
    pub(crate) fn new(command: &str) -> Result<Self, Error> {
        let words =
            words(command).map_err(|what| Error::new(Kind::InvalidInput, format!("'exec:{command}': {what}")))?;
        Ok(Self { words })
    }

    fn spawn(&self) -> io::Result<Connection> {
        let (program, arguments) = self.words.split_first().expect("a command has a word");
        let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let writer = child.stdin.take().map(OwnedFd::from);
        let reader = child.stdout.take().map(OwnedFd::from);
        let peer = Peer::Child(child.id());
        let lifeline = Lifeline::Child(Arc::new(OwnChild::new(child)?));
        let transport = DescriptorTransport::new(reader, writer)?;
        Ok(Connection::new(Box::new(transport), peer, lifeline, &capabilities::EXEC))
    }
}

impl Connector for ExecConnector {
    fn begin(&self) -> Result<Box<dyn Attempt>, Error> {
        let told = |error| unreachable(format_args!("exec:{}", self.words[0]), error);
        self.spawn().map(Instantly::boxed).map_err(told)
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::EXEC
    }
}

/// The words of a command as a shell would see them, without anything else that a shell does: quotes and backslashes, no variables, no patterns.
fn words(command: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("expected a character after the last '\\'")?),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("expected a closing quote")? {
                        end if end == c => break,
                        '\\' if c == '"' => match chars.next().ok_or("expected a closing quote")? {
                            special @ ('"' | '\\' | '$' | '`') => word.push(special),
                            other => word.extend(['\\', other]),
                        },
                        plain => word.push(plain),
                    }
                }
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    if words.first().is_none_or(String::is_empty) { Err("expected a command") } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(words("ssh host crosstie pipe 'a b?c'").unwrap(), ["ssh", "host", "crosstie", "pipe", "a b?c"]);
        assert_eq!(words(r#"a\ b "c \" \d" '' e''f"#).unwrap(), ["a b", "c \" \\d", "", "ef"]);
        assert_eq!(words("$HOME *").unwrap(), ["$HOME", "*"], "nothing is expanded");
        for broken in ["a 'b", "a \"b", "a \\", "''", "  "] {
            assert!(words(broken).is_err(), "{broken}");
        }
    }
}
