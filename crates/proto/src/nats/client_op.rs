//! What a client says, as a server reads it.
//!
//! [`parse`] looks at the bytes that have come and finds the first operation in them. It keeps no state: the connection keeps what
//! is left over and calls again when at least as many bytes are there as [`Parsed::NeedMore`] named. So a payload is never
//! scanned twice, and nothing is allocated or copied here. The leniencies (verbs in any case, a line ended by a bare LF,
//! anything after `PING`) are those of nats-server.

use memchr::memchr;

use super::number::decimal;

/// What a server accepts from one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Bytes of the arguments of a line.
    pub max_control_line: usize,
    /// Bytes of a payload, headers included.
    pub max_payload: usize,
}

/// The outcome of one look at the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// An operation that takes up the first `len` bytes.
    Op {
        /// The operation, borrowing from the input.
        op: ClientOp<'a>,
        /// How many bytes it takes up.
        len: usize,
    },
    /// Not yet a whole operation: look again once `total` bytes of it are there.
    NeedMore {
        /// How many bytes there must be at least, counted from the start of the input.
        total: usize,
    },
    /// The client broke the protocol; nothing after this can be understood.
    Violation(Violation),
}

/// One operation of a client.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientOp<'a> {
    /// `CONNECT {json}`.
    Connect(&'a [u8]),
    /// `PUB` or `HPUB`.
    Pub(Pub<'a>),
    /// `SUB subject [queue] sid`.
    Sub {
        /// The pattern, not yet checked.
        subject: &'a [u8],
        /// The queue group.
        queue: Option<&'a [u8]>,
        /// The client's own id for it.
        sid: &'a [u8],
    },
    /// `UNSUB sid [max]`.
    Unsub {
        /// The client's own id.
        sid: &'a [u8],
        /// After how many deliveries, counted from the start, it ends; zero: at once.
        max: u32,
    },
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `INFO …`, which means nothing from a client.
    Info,
    /// `+OK`, which means nothing from a client.
    Ok,
    /// `-ERR …`: the client gives up.
    Err(&'a [u8]),
}

/// A publish.
#[derive(Debug, PartialEq, Eq)]
pub struct Pub<'a> {
    /// Where to, not yet checked.
    pub subject: &'a [u8],
    /// Where an answer is expected.
    pub reply: Option<&'a [u8]>,
    /// For `HPUB`, how many bytes of the body are headers.
    pub header_len: Option<usize>,
    /// Headers and payload.
    pub body: &'a [u8],
    /// The body and the CRLF behind it.
    pub ended: &'a [u8],
    /// The size, the end of the line, the body and its CRLF, if they stand there just as a `MSG` has them.
    pub sized: Option<&'a [u8]>,
}

/// How a client can break the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// No such verb, or a payload without its CRLF.
    UnknownOperation,
    /// A line longer than the limit.
    ControlLine,
    /// A payload larger than the limit.
    Payload,
    /// A verb with arguments that cannot be read.
    Arguments,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Connect,
    Pub,
    Hpub,
    Sub,
    Unsub,
    Ping,
    Pong,
    Info,
    Ok,
    Err,
}

/// Every verb, longest prefix last where one begins another.
const VERBS: [(&[u8], Verb); 10] = [
    (b"PUB", Verb::Pub),
    (b"HPUB", Verb::Hpub),
    (b"SUB", Verb::Sub),
    (b"UNSUB", Verb::Unsub),
    (b"PING", Verb::Ping),
    (b"PONG", Verb::Pong),
    (b"CONNECT", Verb::Connect),
    (b"INFO", Verb::Info),
    (b"+OK", Verb::Ok),
    (b"-ERR", Verb::Err),
];

/// Verb, and room for white space before the arguments: how much longer than its arguments a line may be.
const VERB_ROOM: usize = 64;

/// Finds the first operation of `input`.
pub fn parse<'a>(input: &'a [u8], limits: &ClientLimits) -> Parsed<'a> {
    let (verb, verb_len) = match verb(input) {
        Ok(found) => found,
        Err(parsed) => return parsed,
    };
    let takes_arguments = !matches!(verb, Verb::Ping | Verb::Pong | Verb::Ok | Verb::Connect);
    if takes_arguments && input.get(verb_len).is_some_and(|b| *b != b' ' && *b != b'\t') {
        return Parsed::Violation(Violation::UnknownOperation);
    }
    let longest = limits.max_control_line + VERB_ROOM;
    let Some(line_end) = memchr(b'\n', &input[verb_len..input.len().min(verb_len + longest + 2)]) else {
        if input.len() >= longest {
            return Parsed::Violation(Violation::ControlLine);
        }
        return Parsed::NeedMore { total: input.len() + 1 };
    };
    let line = &input[verb_len..verb_len + line_end];
    let arguments = trim(line.strip_suffix(b"\r").unwrap_or(line));
    if arguments.len() > limits.max_control_line {
        return Parsed::Violation(Violation::ControlLine);
    }
    let len = verb_len + line_end + 1;
    let op = match verb {
        Verb::Pub | Verb::Hpub => {
            return publish(input, len, arguments, verb == Verb::Hpub, limits);
        }
        Verb::Sub => subscribe(arguments),
        Verb::Unsub => unsubscribe(arguments),
        Verb::Connect => Some(ClientOp::Connect(arguments)),
        Verb::Ping => Some(ClientOp::Ping),
        Verb::Pong => Some(ClientOp::Pong),
        Verb::Info => Some(ClientOp::Info),
        Verb::Ok => Some(ClientOp::Ok),
        Verb::Err => Some(ClientOp::Err(arguments)),
    };
    op.map_or(Parsed::Violation(Violation::Arguments), |op| Parsed::Op { op, len })
}

/// The verb that `input` begins with.
fn verb(input: &[u8]) -> Result<(Verb, usize), Parsed<'static>> {
    if let Some(b"PUB") = input.get(..3) {
        return Ok((Verb::Pub, 3));
    }
    for (name, verb) in VERBS {
        let known = input.len().min(name.len());
        if !input[..known].eq_ignore_ascii_case(&name[..known]) {
            continue;
        }
        return if known == name.len() { Ok((verb, known)) } else { Err(Parsed::NeedMore { total: input.len() + 1 }) };
    }
    Err(Parsed::Violation(Violation::UnknownOperation))
}

fn publish<'a>(
    input: &'a [u8],
    line_len: usize,
    arguments: &'a [u8],
    with_headers: bool,
    limits: &ClientLimits,
) -> Parsed<'a> {
    let Some(head) = PublishHead::read(arguments, with_headers) else {
        return Parsed::Violation(Violation::Arguments);
    };
    if head.body_len > limits.max_payload {
        return Parsed::Violation(Violation::Payload);
    }
    let body_end = line_len + head.body_len;
    let ending = &input[body_end.min(input.len())..];
    match ending {
        [b'\r', b'\n', ..] => {}
        // What is there so far is checked at once, so that a client that lost count is told so before it sends more.
        [] | [b'\r'] => {
            return Parsed::NeedMore { total: body_end + 2 };
        }
        _ => return Parsed::Violation(Violation::UnknownOperation),
    }
    let op = Pub {
        subject: head.subject,
        reply: head.reply,
        header_len: head.header_len,
        body: &input[line_len..body_end],
        ended: &input[line_len..body_end + 2],
        sized: sized(&input[..body_end + 2], line_len, head.size),
    };
    Parsed::Op { op: ClientOp::Pub(op), len: body_end + 2 }
}

/// The end of `input` from the size on, unless the client wrote that in a way of its own: with zeros before it or blanks behind it.
#[inline]
fn sized<'a>(input: &'a [u8], line_len: usize, size: &[u8]) -> Option<&'a [u8]> {
    let at = line_len.checked_sub(size.len() + 2)?;
    let is_plain =
        size.first() != Some(&b'0') && input[line_len - 2] == b'\r' && input[line_len - 3] == size[size.len() - 1];
    is_plain.then(|| &input[at..])
}

struct PublishHead<'a> {
    /// The digits of `body_len`, the last word of the line.
    size: &'a [u8],
    subject: &'a [u8],
    reply: Option<&'a [u8]>,
    header_len: Option<usize>,
    body_len: usize,
}

impl<'a> PublishHead<'a> {
    fn read(arguments: &'a [u8], with_headers: bool) -> Option<Self> {
        let mut words = arguments.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
        let subject = words.next()?;
        let second = words.next()?;
        let (third, fourth, fifth) = (words.next(), words.next(), words.next());
        let (reply, header_len, body_len) = match (with_headers, third, fourth, fifth) {
            (false, None, ..) => (None, None, second),
            (false, Some(size), None, _) => (Some(second), None, size),
            (true, Some(size), None, _) => (None, Some(second), size),
            (true, Some(header_len), Some(size), None) => (Some(second), Some(header_len), size),
            _ => return None,
        };
        let size = body_len;
        let body_len = decimal(size)? as usize;
        let header_len = match header_len {
            // No headers at all: what arrives is a plain message.
            Some(digits) => Some(decimal(digits)? as usize).filter(|len| *len > 0),
            None => None,
        };
        (header_len.unwrap_or(0) <= body_len).then_some(Self { size, subject, reply, header_len, body_len })
    }
}

fn subscribe(arguments: &[u8]) -> Option<ClientOp<'_>> {
    let mut words = Words { rest: arguments };
    let (subject, second, third) = (words.next()?, words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    let (queue, sid) = third.map_or((None, second), |sid| (Some(second), sid));
    Some(ClientOp::Sub { subject, queue, sid })
}

fn unsubscribe(arguments: &[u8]) -> Option<ClientOp<'_>> {
    let mut words = Words { rest: arguments };
    let (sid, max) = (words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    // A count that cannot be read ends the subscription at once, as with nats-server.
    Some(ClientOp::Unsub { sid, max: max.and_then(decimal).unwrap_or(0) })
}

/// The words of a line, separated by spaces and tabs.
struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|b| !is_space(*b))?;
        let rest = &self.rest[start..];
        let end = rest.iter().position(|b| is_space(*b)).unwrap_or(rest.len());
        self.rest = &rest[end..];
        Some(&rest[..end])
    }
}

#[inline]
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn trim(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|b| !is_space(*b)).unwrap_or(line.len());
    &line[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClientLimits = ClientLimits { max_control_line: 64, max_payload: 32 };

    /// Every operation of `input` as text, looking only when as many bytes are there as were asked for.
    fn read(input: &[u8], chunk: usize) -> Vec<String> {
        let (mut ops, mut held, mut wanted) = (Vec::new(), Vec::new(), 0);
        for bytes in input.chunks(chunk) {
            held.extend_from_slice(bytes);
            while held.len() >= wanted.max(1) {
                match parse(&held, &LIMITS) {
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

    fn one(input: &str) -> String {
        read(input.as_bytes(), usize::MAX).join(" ")
    }

    const SESSION: &[u8] =
        b"CONNECT {}\r\nPING\r\npub a 5\r\nhello\r\nPUB a r 0\r\n\r\nHPUB a 12 13\r\nNATS/1.0\r\n\r\nx\r\n\
        SUB a.* 1\r\nsub\ta.>  q\t2 \r\nUNSUB 1 5\nUNSUB 2\r\nPONG\r\n+OK\r\nINFO {}\r\n";

    #[test]
    fn a_session_reads_the_same_however_it_is_cut() {
        let whole = read(SESSION, usize::MAX);
        assert_eq!(whole.len(), 12);
        for chunk in 1..SESSION.len() {
            assert_eq!(read(SESSION, chunk), whole, "cut every {chunk} bytes");
        }
    }

    /// The control of the test above: it notices a reader that does not keep half an operation until the rest has come.
    #[test]
    fn a_reader_that_drops_what_is_left_reads_something_else() {
        let whole = read(SESSION, usize::MAX);
        let (first, second) = SESSION.split_at(SESSION.len() / 2);
        let pieces = [read(first, usize::MAX), read(second, usize::MAX)].concat();
        assert_ne!(pieces, whole);
    }

    #[test]
    fn the_parts_of_a_publish_are_told_apart() {
        let Parsed::Op { op: ClientOp::Pub(found), len } = parse(b"HPUB s r 2 5\r\nhhbbb\r\nPING", &LIMITS) else {
            panic!()
        };
        assert_eq!(
            (found.subject, found.reply, found.header_len, found.body),
            (&b"s"[..], Some(&b"r"[..]), Some(2), &b"hhbbb"[..])
        );
        assert_eq!(len, 21);
    }

    #[test]
    fn the_end_of_a_publish_is_taken_as_it_stands_only_if_a_message_has_it_so() {
        let sized = |input: &'static str| match parse(input.as_bytes(), &LIMITS) {
            Parsed::Op { op: ClientOp::Pub(found), .. } => {
                assert_eq!(found.ended, [found.body, b"\r\n"].concat());
                found.sized.map(String::from_utf8_lossy)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(sized("PUB a 5\r\nhello\r\nPING").unwrap(), "5\r\nhello\r\n");
        assert_eq!(sized("PUB\ta  r 12\r\nhello, world\r\n").unwrap(), "12\r\nhello, world\r\n");
        assert_eq!(sized("HPUB a 0 5\r\nhello\r\n").unwrap(), "5\r\nhello\r\n");
        for other in ["PUB a 05\r\nhello\r\n", "PUB a 5 \r\nhello\r\n", "PUB a 5\nhello\r\n", "PUB a 0\r\n\r\n"] {
            assert_eq!(sized(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_limit_is_checked_before_the_payload_has_come() {
        assert_eq!(parse(b"PUB a 33\r\n", &LIMITS), Parsed::Violation(Violation::Payload));
        assert_eq!(parse(b"PUB a 32\r\n", &LIMITS), Parsed::NeedMore { total: 10 + 34 });
        let long = format!("PUB {} 1", "x".repeat(200));
        assert_eq!(parse(long.as_bytes(), &LIMITS), Parsed::Violation(Violation::ControlLine));
        let over = format!("PUB {} 1\r\nx\r\n", "x".repeat(63));
        assert_eq!(parse(over.as_bytes(), &LIMITS), Parsed::Violation(Violation::ControlLine));
        let fits = format!("PUB {} 1\r\nx\r\n", "x".repeat(62));
        assert!(matches!(parse(fits.as_bytes(), &LIMITS), Parsed::Op { .. }));
    }

    /// The control of the test above.
    #[test]
    fn without_limits_the_same_payload_is_waited_for() {
        let unlimited = ClientLimits { max_control_line: 4096, max_payload: usize::MAX };
        assert_eq!(parse(b"PUB a 33\r\n", &unlimited), Parsed::NeedMore { total: 10 + 35 });
    }

    #[test]
    fn nonsense_is_named() {
        for (input, expected) in [
            ("GET / HTTP/1.1\r\n", "UnknownOperation"),
            ("X", "UnknownOperation"),
            ("\r\n", "UnknownOperation"),
            ("PUBa 1\r\n", "UnknownOperation"),
            ("PUB a 2\r\nabc\r\n", "UnknownOperation"),
            ("PUB a\r\n", "Arguments"),
            ("PUB a -1\r\n", "Arguments"),
            ("PUB a b c 1\r\n", "Arguments"),
            ("PUB a 9999999999\r\n", "Arguments"),
            ("HPUB a 5 4\r\n", "Arguments"),
            ("HPUB a 5\r\n", "Arguments"),
            ("SUB a\r\n", "Arguments"),
            ("SUB a b c d\r\n", "Arguments"),
            ("UNSUB \r\n", "Arguments"),
        ] {
            assert_eq!(one(input), expected, "{input:?}");
        }
    }

    #[test]
    fn what_nats_server_lets_pass_passes() {
        assert_eq!(one("PING with more\r\n"), "Ping");
        assert_eq!(one("UNSUB 1 soon\r\n"), "Unsub { sid: [49], max: 0 }");
    }
}
