//! What a server says, as a client reads it.
//!
//! Like its twin for servers, [`parse`] keeps no state: it finds the first operation in the bytes that have come, or says how many there
//! must be. A payload stays where it is.

use memchr::memchr;

use super::number::{decimal, id};

/// The longest line a client accepts. `INFO` may list many servers.
pub const MAX_LINE: usize = 256 * 1024;
/// The largest payload a client accepts, whatever the server announced.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// The outcome of one look at the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// An operation that takes up the first `len` bytes.
    Op {
        /// The operation, borrowing from the input.
        op: ServerOp<'a>,
        /// How many bytes it takes up.
        len: usize,
    },
    /// Look again once `total` bytes are there, counted from the start of the input.
    NeedMore {
        /// How many.
        total: usize,
    },
    /// The server broke the protocol.
    Violation(Violation),
}

/// One operation of a server.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerOp<'a> {
    /// `INFO {json}`.
    Info(&'a [u8]),
    /// `MSG` or `HMSG`.
    Msg(Msg<'a>),
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `+OK`.
    Ok,
    /// `-ERR 'text'`, without the quotes.
    Err(&'a [u8]),
}

/// A delivery.
#[derive(Debug, PartialEq, Eq)]
pub struct Msg<'a> {
    /// Where it was published.
    pub subject: &'a [u8],
    /// The subscription's id.
    pub sid: u64,
    /// Where an answer is expected.
    pub reply: Option<&'a [u8]>,
    /// For `HMSG`, how many bytes of the body are headers.
    pub header_len: Option<usize>,
    /// Headers and payload.
    pub body: &'a [u8],
}

/// How a server can break the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// No such verb, or a payload without its CRLF.
    #[error("the server sent something that is no operation of the NATS protocol")]
    UnknownOperation,
    /// A line beyond [`MAX_LINE`].
    #[error("the server sent a line of more than {MAX_LINE} bytes")]
    Line,
    /// A payload beyond [`MAX_BODY`].
    #[error("the server sent a payload of more than {MAX_BODY} bytes")]
    Body,
    /// A verb with arguments that cannot be read.
    #[error("the server sent a message whose head cannot be read")]
    Arguments,
}

/// Finds the first operation of `input`.
pub fn parse(input: &[u8]) -> Parsed<'_> {
    let Some(line_end) = memchr(b'\n', &input[..input.len().min(MAX_LINE)]) else {
        if input.len() >= MAX_LINE {
            return Parsed::Violation(Violation::Line);
        }
        return Parsed::NeedMore { total: input.len() + 1 };
    };
    let len = line_end + 1;
    let line = &input[..line_end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if let Some(arguments) = line.strip_prefix(b"MSG ") {
        return message(input, len, arguments, false);
    }
    if let Some(arguments) = line.strip_prefix(b"HMSG ") {
        return message(input, len, arguments, true);
    }
    let verb_len = line.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(line.len());
    let (verb, arguments) = line.split_at(verb_len);
    let arguments = arguments.trim_ascii();
    let op = match verb.to_ascii_uppercase().as_slice() {
        b"INFO" => ServerOp::Info(arguments),
        b"PING" => ServerOp::Ping,
        b"PONG" => ServerOp::Pong,
        b"+OK" => ServerOp::Ok,
        b"-ERR" => {
            ServerOp::Err(arguments.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(arguments))
        }
        _ => return Parsed::Violation(Violation::UnknownOperation),
    };
    Parsed::Op { op, len }
}

fn message<'a>(input: &'a [u8], line_len: usize, arguments: &'a [u8], with_headers: bool) -> Parsed<'a> {
    let Some(head) = Head::read(arguments, with_headers) else {
        return Parsed::Violation(Violation::Arguments);
    };
    if head.body_len > MAX_BODY {
        return Parsed::Violation(Violation::Body);
    }
    let body_end = line_len + head.body_len;
    match &input[body_end.min(input.len())..] {
        [b'\r', b'\n', ..] => {}
        [] | [b'\r'] => return Parsed::NeedMore { total: body_end + 2 },
        _ => return Parsed::Violation(Violation::UnknownOperation),
    }
    let body = &input[line_len..body_end];
    let op = Msg { subject: head.subject, sid: head.sid, reply: head.reply, header_len: head.header_len, body };
    Parsed::Op { op: ServerOp::Msg(op), len: body_end + 2 }
}

struct Head<'a> {
    subject: &'a [u8],
    sid: u64,
    reply: Option<&'a [u8]>,
    header_len: Option<usize>,
    body_len: usize,
}

impl<'a> Head<'a> {
    fn read(arguments: &'a [u8], with_headers: bool) -> Option<Self> {
        let mut words = arguments.split(|b| *b == b' ').filter(|word| !word.is_empty());
        let (subject, sid) = (words.next()?, words.next()?);
        let mut rest =
            [words.next(), words.next(), words.next()].into_iter().flatten().collect::<heapless::Words<'a>>();
        if words.next().is_some() {
            return None;
        }
        let body_len = decimal(rest.pop()?)? as usize;
        let header_len = if with_headers { Some(decimal(rest.pop()?)? as usize) } else { None };
        let reply = rest.pop();
        if rest.pop().is_some() || header_len.unwrap_or(0) > body_len {
            return None;
        }
        Some(Self { subject, sid: id(sid)?, reply, header_len, body_len })
    }
}

/// At most three words, without an allocation.
mod heapless {
    #[derive(Default)]
    pub(super) struct Words<'a> {
        words: [&'a [u8]; 3],
        len: usize,
    }

    impl<'a> Words<'a> {
        pub(super) fn pop(&mut self) -> Option<&'a [u8]> {
            self.len = self.len.checked_sub(1)?;
            Some(self.words[self.len])
        }
    }

    impl<'a> FromIterator<&'a [u8]> for Words<'a> {
        fn from_iter<I: IntoIterator<Item = &'a [u8]>>(iter: I) -> Self {
            let mut words = Self::default();
            for word in iter.into_iter().take(3) {
                words.words[words.len] = word;
                words.len += 1;
            }
            words
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], chunk: usize) -> Vec<String> {
        let (mut ops, mut held, mut wanted) = (Vec::new(), Vec::new(), 0);
        for bytes in input.chunks(chunk) {
            held.extend_from_slice(bytes);
            while held.len() >= wanted.max(1) {
                match parse(&held) {
                    Parsed::Op { op, len } => {
                        ops.push(format!("{op:?}"));
                        held.drain(..len);
                        wanted = 0;
                    }
                    Parsed::NeedMore { total } => wanted = total,
                    Parsed::Violation(violation) => {
                        ops.push(format!("{violation:?}"));
                        return ops;
                    }
                }
            }
        }
        ops
    }

    #[test]
    fn a_session_reads_the_same_however_it_is_cut() {
        let session = b"INFO {\"a\":1} \r\nPING\r\nMSG s 1 5\r\nhe\r\no\r\nMSG s 1 r 0\r\n\r\nHMSG s 2 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n+OK\r\n-ERR 'No'\r\nPONG\r\n";
        let whole = read(session, usize::MAX);
        assert_eq!(whole.len(), 8);
        for chunk in 1..session.len() {
            assert_eq!(read(session, chunk), whole, "cut every {chunk} bytes");
        }
    }

    #[test]
    fn nonsense_is_named() {
        for (input, expected) in [
            ("HTTP/1.1 200 OK\r\n", "UnknownOperation"),
            ("MSG s 1\r\n", "Arguments"),
            ("MSG s x 1\r\n", "Arguments"),
            ("MSG s 1 r r 1\r\n", "Arguments"),
            ("HMSG s 1 9 8\r\n", "Arguments"),
            ("MSG s 1 1\r\nab\r\n", "UnknownOperation"),
            ("MSG s 1 999999999\r\n", "Body"),
        ] {
            assert_eq!(read(input.as_bytes(), usize::MAX), [expected], "{input:?}");
        }
    }
}
