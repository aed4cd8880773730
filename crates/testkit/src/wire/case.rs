//! The cases: what to send on which connection, read from `corpus/*.cases`.
//!
//! ```text
//! config users                       the server's configuration, for the cases below it
//! hello {"verbose":false}            the CONNECT that opens every connection below, or `none`
//!
//! == two words that name the case [flag flag]
//! a= {"verbose":true}                another CONNECT for connection `a`, or `none`
//! a: SUB x 1                         a line and CRLF
//! a; PUB x 2\r\nhi                   bytes as they are
//! b: PUB x 0                         another connection: `a` is in step with the server before `b` begins
//! a? .                               wait until the server has done what `a` sent
//! a! .                               wait until the server closes `a`
//! server! USR2                       a signal for the server
//! ```
//!
//! Bytes are escaped as `\r \n \t \0 \\ \xNN`; `{ab*3}` is `ababab`. Lines for one connection that follow each other are one write.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// One conversation with a server.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and name, as `pub/empty payload`.
    pub name: String,
    /// Which configuration the server runs with.
    pub config: String,
    /// The CONNECT of each connection that does not name its own.
    pub hello: Hello,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What the comparison has to know.
    pub flags: Flags,
}

/// What a connection says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// Nothing.
    None,
    /// CONNECT with this document.
    Json(String),
}

/// One step of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opens a connection with its own CONNECT.
    Open(char, Hello),
    /// Sends bytes in one write.
    Send(char, Vec<u8>),
    /// Waits until the server has done what the connection sent.
    Fence(char),
    /// Waits until the server closes the connection.
    Closed(char),
    /// Sends the server a signal.
    Signal(String),
}

/// What the comparison of a case has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The order of what a connection receives is not promised.
    pub unordered: bool,
    /// Which connection or subscription receives is not promised: everything is pooled and the sid hidden.
    pub pooled: bool,
    /// The first INFO belongs to the transcript.
    pub info: bool,
    /// So do the server's pings.
    pub pings: bool,
    /// The bytes are not sent in pieces as well.
    pub whole: bool,
    /// The server is not shared with other cases.
    pub private: bool,
}

/// Why a file of cases does not parse.
#[derive(Debug)]
pub struct CaseError {
    file: String,
    line: usize,
    why: String,
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file, self.line, self.why)
    }
}

impl std::error::Error for CaseError {}

/// All cases of a folder, in the order of its file names.
///
/// # Errors
///
/// The first line that does not parse, or what the file system says.
pub fn read_all(folder: &Path) -> Result<Vec<Case>, Box<dyn std::error::Error + Send + Sync>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cases"))
        .collect();
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        cases.extend(parse(&stem, &std::fs::read_to_string(&file)?)?);
    }
    Ok(cases)
}

fn parse(file: &str, text: &str) -> Result<Vec<Case>, CaseError> {
    let mut cases: Vec<Case> = Vec::new();
    let mut config = "plain".to_owned();
    let mut hello = Hello::None;
    for (at, line) in text.lines().enumerate() {
        let wrong = |why: String| CaseError { file: file.to_owned(), line: at + 1, why };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix("== ") {
            let (name, flags) = match head.split_once(" [") {
                Some((name, flags)) => (name, flags.trim_end_matches(']').parse().map_err(wrong)?),
                None => (head, Flags::default()),
            };
            let name = format!("{file}/{}", name.trim());
            if cases.iter().any(|case| case.name == name) {
                return Err(wrong(format!("a second case is called {name}")));
            }
            cases.push(Case { name, config: config.clone(), hello: hello.clone(), steps: Vec::new(), flags });
        } else if let Some(named) = line.strip_prefix("config ") {
            config = named.trim().to_owned();
        } else if let Some(said) = line.strip_prefix("hello ") {
            hello = Hello::of(said);
        } else {
            let case = cases.last_mut().ok_or_else(|| wrong("expected `== name` before the first step".into()))?;
            case.add(line).map_err(wrong)?;
        }
    }
    Ok(cases)
}

impl Case {
    fn add(&mut self, line: &str) -> Result<(), String> {
        let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
        if head == "server!" {
            self.steps.push(Step::Signal(rest.trim().to_owned()));
            return Ok(());
        }
        let mut letters = head.chars();
        let (Some(who @ 'a'..='z'), Some(what), None) = (letters.next(), letters.next(), letters.next()) else {
            return Err(format!("expected a connection and one of `: ; = ? !`, found {head}"));
        };
        // Another connection's turn: what came before has to be done first.
        if let Some(&Step::Send(before, _)) = self.steps.last()
            && before != who
        {
            self.steps.push(Step::Fence(before));
        }
        match what {
            ':' | ';' => {
                let mut bytes = unescape(rest)?;
                if what == ':' {
                    bytes.extend(b"\r\n");
                }
                match self.steps.last_mut() {
                    Some(Step::Send(before, earlier)) if *before == who => earlier.extend(bytes),
                    _ => self.steps.push(Step::Send(who, bytes)),
                }
            }
            '=' => self.steps.push(Step::Open(who, Hello::of(rest))),
            '?' => self.steps.push(Step::Fence(who)),
            '!' => self.steps.push(Step::Closed(who)),
            _ => return Err(format!("expected one of `: ; = ? !` after {who}, found {what}")),
        }
        Ok(())
    }
}

impl Hello {
    fn of(text: &str) -> Self {
        match text.trim() {
            "none" => Self::None,
            json => Self::Json(json.to_owned()),
        }
    }

    /// The bytes that open a connection.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Json(json) => format!("CONNECT {json}\r\n").into_bytes(),
        }
    }
}

impl FromStr for Flags {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut flags = Self::default();
        for word in text.split_whitespace() {
            let flag = match word {
                "unordered" => &mut flags.unordered,
                "pooled" => &mut flags.pooled,
                "info" => &mut flags.info,
                "pings" => &mut flags.pings,
                "whole" => &mut flags.whole,
                "private" => &mut flags.private,
                _ => return Err(format!("no flag is called {word}")),
            };
            *flag = true;
        }
        Ok(flags)
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if next == '{'
            && let Some((unit, count, after)) = repetition(rest)
        {
            bytes.extend(unescape(unit)?.repeat(count));
            rest = after;
        } else if next == '\\' {
            let (byte, length) = escape(rest)?;
            bytes.push(byte);
            rest = &rest[length..];
        } else {
            let length = next.len_utf8();
            bytes.extend(&rest.as_bytes()[..length]);
            rest = &rest[length..];
        }
    }
    Ok(bytes)
}

/// `{unit*count}` at the start of a text, and what follows it.
fn repetition(text: &str) -> Option<(&str, usize, &str)> {
    let (inside, after) = text.strip_prefix('{')?.split_once('}')?;
    let (unit, count) = inside.rsplit_once('*')?;
    Some((unit, count.parse().ok()?, after))
}

/// The byte of an escape at the start of a text, and how long the escape is.
fn escape(text: &str) -> Result<(u8, usize), String> {
    let wrong = || format!("expected one of \\r \\n \\t \\0 \\\\ \\xNN at {text}");
    let byte = match text.as_bytes().get(1).ok_or_else(wrong)? {
        b'r' => b'\r',
        b'n' => b'\n',
        b't' => b'\t',
        b'0' => 0,
        b'\\' => b'\\',
        b'x' => {
            let digits = text.get(2..4).ok_or_else(wrong)?;
            return Ok((u8::from_str_radix(digits, 16).map_err(|_| wrong())?, 4));
        }
        _ => return Err(wrong()),
    };
    Ok((byte, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_as_it_is_written() {
        let text = "config users\nhello {\"verbose\":false}\n\n== one [unordered whole]\na: SUB x 1\na; PUB\\x20\nb= none\nb: PING\n";
        let cases = parse("pub", text).expect("it is well formed");
        assert_eq!(cases.len(), 1);
        assert_eq!(cases[0].name, "pub/one");
        assert_eq!(cases[0].config, "users");
        assert_eq!(
            cases[0].steps,
            [
                Step::Send('a', b"SUB x 1\r\nPUB ".to_vec()),
                Step::Fence('a'),
                Step::Open('b', Hello::None),
                Step::Send('b', b"PING\r\n".to_vec()),
            ]
        );
        assert!(cases[0].flags.unordered && cases[0].flags.whole);
    }

    #[test]
    fn bytes_are_escaped_and_repeated() {
        assert_eq!(unescape(r"a{xy*2}\r\n\x00\\{z}").unwrap(), b"axyxy\r\n\0\\{z}");
        assert!(unescape(r"\q").is_err());
        assert!(unescape(r"\x1").is_err());
    }

    #[test]
    fn what_is_not_a_step_is_refused() {
        for text in ["a: x", "== a\nab: x", "== a\na+ x", "== a [loud]", "== a\n== a"] {
            assert!(parse("f", text).is_err(), "{text}");
        }
    }
}
