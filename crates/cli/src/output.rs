//! Where a command's data and messages go.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use crosstie::Message;
use crosstie_server::ConfigError;
use serde_json::{Value, json};

use crate::exit::{Code, Failure};

/// The version of every JSON document this command prints.
const SCHEMA: u32 = 1;

/// How an error begins that says why data cannot be written.
pub(crate) const UNWRITTEN: &str = "standard output: ";

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Colour {
    /// Whether a stream gets colours: `asked` tells what an environment variable holds.
    fn applies(self, is_terminal: bool, asked: impl Fn(&str) -> Option<String>) -> bool {
        let is_set = |name| asked(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            // The user's word against colours counts more than the word for them.
            Self::Auto if is_set("NO_COLOR") => false,
            Self::Auto if is_set("CLICOLOR_FORCE") && asked("CLICOLOR_FORCE").as_deref() != Some("0") => true,
            Self::Auto => is_terminal && asked("TERM").as_deref() != Some("dumb"),
        }
    }
}

/// Standard output for data, as text or JSON Lines; standard error for people.
#[derive(Clone)]
pub(crate) struct Output {
    json: bool,
    colour: Colour,
}

impl Output {
    pub(crate) const fn new(json: bool, colour: Colour) -> Self {
        Self { json, colour }
    }

    /// True if data is printed as JSON Lines.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// True if a person watches the messages: progress may be shown.
    pub(crate) fn is_watched(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// True if a person looks at the data, on a terminal.
    pub(crate) fn data_is_shown(&self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// How many characters fit into a line, if a person looks at the data on a terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        let told = || rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
        // A terminal that does not know is as wide as they used to be.
        self.data_is_shown().then(|| Some(told()).filter(|width| *width > 0).unwrap_or(80))
    }

    /// True if colours may be used on standard output.
    pub(crate) fn has_colour(&self) -> bool {
        !self.json && self.colour.applies(io::stdout().is_terminal(), |name| std::env::var(name).ok())
    }

    /// True if colours may be used on standard error, where progress is shown.
    pub(crate) fn has_colour_for_messages(&self) -> bool {
        !self.json && self.colour.applies(io::stderr().is_terminal(), |name| std::env::var(name).ok())
    }

    /// One piece of data: `text` for people and pipes, `value` as one line of JSON.
    pub(crate) fn data(&self, value: &Value, text: impl FnOnce() -> Vec<u8>) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let outcome = if self.json {
            let mut value = value.clone();
            value["schema"] = json!(SCHEMA);
            writeln!(out, "{value}")
        } else {
            out.write_all(&text())
        };
        outcome.and_then(|()| out.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::new(Code::Failure, "io", format!("{UNWRITTEN}{error}")),
        })
    }

    /// A word to the person at the terminal.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            // Nobody to tell is no failure.
            let _ = writeln!(io::stderr(), "{}", printable(text.as_bytes()));
        }
    }

    /// Something that happens while a command goes on, in the shape of an error, without a code: nothing has ended.
    pub(crate) fn event(&self, kind: &str, message: &str) {
        self.event_with(kind, message, &[]);
    }

    /// The same with more to know for who reads JSON.
    pub(crate) fn event_with(&self, kind: &str, message: &str, more: &[(&str, Value)]) {
        if self.json {
            let mut event = json!({ "kind": kind, "message": message });
            for (name, value) in more {
                event[*name] = value.clone();
            }
            // Nobody to tell is no failure.
            let _ = writeln!(io::stderr(), "{}", json!({ "schema": SCHEMA, "event": event }));
        } else {
            self.note(message);
        }
    }

    /// Data of a command whose standard output is taken by something else: as one line of JSON on standard error, if that is asked for.
    pub(crate) fn aside(&self, value: &Value) {
        if self.json {
            let mut value = value.clone();
            value["schema"] = json!(SCHEMA);
            // Nobody to tell is no failure.
            let _ = writeln!(io::stderr(), "{value}");
        }
    }

    /// The last word of a command that failed.
    pub(crate) fn fail(&self, failure: &Failure) -> ExitCode {
        let (code, kind, message) = match failure {
            Failure::Told { code, kind, message } => (*code as u8, *kind, message),
            Failure::Command { code, message: None } => return ExitCode::from(*code),
            Failure::Command { code, message: Some(message) } => (*code, "command", message),
            Failure::Mistakes(mistakes) => return self.fail_configuration(mistakes, &failure.to_string()),
            Failure::BrokenPipe => return ExitCode::SUCCESS,
        };
        let mut err = io::stderr().lock();
        let _ = if self.json {
            let error = json!({ "schema": SCHEMA, "error": { "kind": kind, "message": message, "exit_code": code } });
            writeln!(err, "{error}")
        } else {
            // What the other side has said of itself is in it, too: it may neither move the cursor nor change the colours.
            writeln!(err, "crosstie: {}", printable(message.as_bytes()))
        };
        ExitCode::from(code)
    }

    fn fail_configuration(&self, mistakes: &[ConfigError], all: &str) -> ExitCode {
        let mut err = io::stderr().lock();
        if self.json {
            let each = |mistake: &ConfigError| {
                json!({
                    "file": mistake.source(), "line": mistake.line(), "column": mistake.column(), "message": mistake.message(),
                })
            };
            let error = json!({
                "kind": "invalid_config", "message": all.replace('\n', " "), "exit_code": Code::Usage as u8,
                "mistakes": mistakes.iter().map(each).collect::<Vec<_>>(),
            });
            let _ = writeln!(err, "{}", json!({ "schema": SCHEMA, "error": error }));
        } else {
            for mistake in mistakes {
                let _ = writeln!(err, "crosstie: {mistake}");
            }
        }
        Code::Usage.into()
    }
}

/// What clap has to say: help and version as data, a wrong command line as an error, in JSON if the command line asks for that anywhere.
pub(crate) fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let in_json = arguments.iter().any(|argument| argument == "--json");
    if !error.use_stderr() {
        let what = if error.kind() == clap::error::ErrorKind::DisplayVersion { "version" } else { "help" };
        let said = json!({ what: error.to_string().trim_end() });
        // Nobody to tell is no failure.
        match in_json {
            true => drop(Output::new(true, Colour::Never).data(&said, Vec::new)),
            false => drop(error.print()),
        }
        return ExitCode::SUCCESS;
    }
    let text = without_environment(&error.to_string(), arguments);
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    if !in_json {
        // Nobody to tell is no failure.
        let _ = match error.kind() {
            // The help itself, for whoever said nothing at all.
            clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.print(),
            _ => io::stderr().write_all(format!("crosstie: {text}").as_bytes()),
        };
        return Code::Usage.into();
    }
    let message = match error.kind() {
        clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "expected a command; --help lists them",
        // What follows is how to use it, for people.
        _ => text.split("\n\nUsage:").next().and_then(|text| text.split("\n\nFor more").next()).unwrap_or(text),
    };
    let words: Vec<&str> = message.split_whitespace().collect();
    Output::new(true, Colour::Never).fail(&Failure::usage(words.join(" ")))
}

/// A usage line names the options that were given. One whose variable is set counts as given, but is no part of what the user typed.
fn without_environment(text: &str, arguments: &[OsString]) -> String {
    let is_typed = |names: &[&str]| {
        let typed = arguments.iter().filter_map(|argument| argument.to_str());
        typed.into_iter().any(|argument| names.iter().any(|name| argument.starts_with(name)))
    };
    let hidden = [(" --server <URL>", &["--server", "-s"][..]), (" --dir <DIR>", &["--dir"])];
    hidden.iter().filter(|(_, names)| !is_typed(names)).fold(text.to_owned(), |text, (usage, _)| {
        let shown = if text.contains(" [OPTIONS]") { "" } else { " [OPTIONS]" };
        text.replace(usage, shown)
    })
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
    let Value::Object(payload) = bytes_json(&message.payload) else { return value };
    value.as_object_mut().expect("it was made as one").extend(payload);
    value
}

/// Bytes as JSON: `payload` if they are text, else `payload_hex`.
pub(crate) fn bytes_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "payload": text }),
        Err(_) => json!({ "payload_hex": hex(bytes) }),
    }
}

/// Text for a terminal: control characters but line feeds and tabs, and bytes that are no text, as `\x1b`.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for piece in bytes.utf8_chunks() {
        for sign in piece.valid().chars() {
            match sign {
                '\n' | '\t' => text.push(sign),
                _ if sign.is_control() && u32::from(sign) < 0x80 => {
                    text.push_str(&format!("\\x{:02x}", u32::from(sign)))
                }
                _ if sign.is_control() => text.extend(sign.escape_unicode()),
                _ => text.push(sign),
            }
        }
        for byte in piece.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_unless_asked_otherwise() {
        let with =
            |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.to_owned());
        for (colour, is_terminal, name, value, expected) in [
            (Colour::Auto, true, "", "", true),
            (Colour::Auto, false, "", "", false),
            (Colour::Auto, true, "NO_COLOR", "1", false),
            (Colour::Auto, true, "NO_COLOR", "", true),
            (Colour::Auto, true, "TERM", "dumb", false),
            (Colour::Auto, false, "CLICOLOR_FORCE", "1", true),
            (Colour::Auto, false, "CLICOLOR_FORCE", "0", false),
            (Colour::Always, false, "NO_COLOR", "1", true),
            (Colour::Never, true, "CLICOLOR_FORCE", "1", false),
        ] {
            assert_eq!(
                colour.applies(is_terminal, with(name, value)),
                expected,
                "{colour:?} {is_terminal} {name}={value}"
            );
        }
    }

    #[test]
    fn a_terminal_is_shown_no_control_characters() {
        assert_eq!(printable(b"a\tb\n\x1b[2J\r\x07\x7f\xffz"), "a\tb\n\\x1b[2J\\x0d\\x07\\x7f\\xffz");
        assert_eq!(printable("\u{9b}2J gr\u{fc}n \u{1f600}".as_bytes()), "\\u{9b}2J gr\u{fc}n \u{1f600}");
    }

    #[test]
    fn a_payload_that_is_no_text_is_hexadecimal() {
        let subject: crosstie::Subject = "a".parse().unwrap();
        assert_eq!(message_json(&Message::new(subject.clone(), "hi"))["payload"], "hi");
        assert_eq!(message_json(&Message::new(subject, vec![0xff, 1]))["payload_hex"], "ff01");
    }
}
