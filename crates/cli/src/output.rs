//! Where a command's data and messages go.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use crosstie::Message;
use serde_json::{Value, json};

use crate::exit::Failure;

/// The version of every JSON document this command prints.
const SCHEMA: u32 = 1;

/// Standard output for data, as text or JSON Lines; standard error for people.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// True if data is printed as JSON Lines.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// True if a person watches the messages: progress may be shown.
    pub(crate) fn is_watched(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// True if colours may be used on standard output.
    pub(crate) fn has_colour(&self) -> bool {
        let asked = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        !self.json && !asked("NO_COLOR") && (asked("CLICOLOR_FORCE") || io::stdout().is_terminal())
    }

    /// One piece of data: `text` for people and pipes, `value` as one line of JSON.
    pub(crate) fn data(&self, value: &Value, text: impl FnOnce() -> Vec<u8>) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        if self.json {
            let mut value = value.clone();
            value["schema"] = json!(SCHEMA);
            writeln!(out, "{value}")?;
        } else {
            out.write_all(&text())?;
        }
        Ok(out.flush()?)
    }

    /// A word to the person at the terminal.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            // Nobody to tell is no failure.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// The last word of a command that failed.
    pub(crate) fn fail(&self, failure: &Failure) -> ExitCode {
        let Failure::Told { code, kind, message } = failure else { return ExitCode::SUCCESS };
        let mut err = io::stderr().lock();
        let _ = if self.json {
            let error =
                json!({ "schema": SCHEMA, "error": { "kind": kind, "message": message, "exit_code": *code as u8 } });
            writeln!(err, "{error}")
        } else {
            writeln!(err, "crosstie: {message}")
        };
        ExitCode::from(*code)
    }
}

/// A message as JSON. A payload that is not text is given in hexadecimal under `payload_hex`.
pub(crate) fn message_json(message: &Message) -> Value {
    let headers: Vec<Value> = message.headers.iter().map(|(name, value)| json!([name, value])).collect();
    let mut value = json!({ "subject": message.subject.as_str(), "size": message.payload.len() });
    if let Some(reply) = &message.reply {
        value["reply"] = json!(reply.as_str());
    }
    if !headers.is_empty() {
        value["headers"] = json!(headers);
    }
    if let Some(status) = &message.status {
        value["status"] = json!(status.code);
    }
    match std::str::from_utf8(&message.payload) {
        Ok(text) => value["payload"] = json!(text),
        Err(_) => value["payload_hex"] = json!(hex(&message.payload)),
    }
    value
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_no_text_is_hexadecimal() {
        let subject: crosstie::Subject = "a".parse().unwrap();
        assert_eq!(message_json(&Message::new(subject.clone(), "hi"))["payload"], "hi");
        assert_eq!(message_json(&Message::new(subject, vec![0xff, 1]))["payload_hex"], "ff01");
    }
}
