//! Messages that begin as one before did: a short cut past the parser.
//!
//! In a stream of messages on one subject to one subscription, every head is the same up to the size. Comparing it costs a fraction of
//! taking it apart.

use std::ops::Range;

use super::{
    number::{decimal, push_decimal},
    server_op::{MAX_BODY, Msg},
};

/// A head that is known: `MSG <subject> <sid> `.
#[derive(Clone, Debug, Default)]
pub struct Familiar {
    head: Vec<u8>,
}

/// A message with a known head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognized {
    /// Where its payload lies.
    pub body: Range<usize>,
    /// How many bytes it takes up.
    pub len: usize,
}

impl Familiar {
    /// Remembers the head of `msg` in the place of any other. It must have neither headers nor a reply subject.
    pub fn learn(&mut self, msg: &Msg<'_>) {
        debug_assert!(msg.reply.is_none() && msg.header_len.is_none(), "a plain message");
        self.head.clear();
        self.head.extend_from_slice(b"MSG ");
        self.head.extend_from_slice(msg.subject);
        self.head.push(b' ');
        push_decimal(&mut self.head, msg.sid as usize);
        self.head.push(b' ');
    }

    /// The message at the start of `input`, if it is whole and plain and has the known head. Else ask the
    /// [parser](super::server_op::parse), which finds the same and more.
    #[inline]
    pub fn recognize(&self, input: &[u8]) -> Option<Recognized> {
        let rest = input.strip_prefix(self.head.as_slice()).filter(|_| !self.head.is_empty())?;
        let digits = rest.iter().take(10).position(|byte| *byte == b'\r')?;
        let body_len = decimal(&rest[..digits])? as usize;
        let start = self.head.len() + digits + 2;
        let end = start + body_len;
        let is_whole = rest.get(digits + 1) == Some(&b'\n') && input.get(end..end + 2) == Some(b"\r\n");
        (is_whole && body_len <= MAX_BODY).then_some(Recognized { body: start..end, len: end + 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::server_op::{Parsed, ServerOp, parse};

    fn knowing(subject: &[u8], sid: u64) -> Familiar {
        let mut familiar = Familiar::default();
        familiar.learn(&Msg { subject, sid, reply: None, header_len: None, body: b"" });
        familiar
    }

    /// What is recognized in `input`, after a check that the parser finds the same.
    fn recognized(familiar: &Familiar, input: &[u8]) -> Option<Vec<u8>> {
        let found = familiar.recognize(input)?;
        let Parsed::Op { op: ServerOp::Msg(msg), len } = parse(input) else {
            panic!("{:?} is no message", String::from_utf8_lossy(input))
        };
        assert_eq!((msg.body, msg.reply, msg.header_len, len), (&input[found.body.clone()], None, None, found.len));
        Some(input[found.body].to_vec())
    }

    #[test]
    fn the_same_head_is_recognized_whatever_the_size() {
        let familiar = knowing(b"a.b", 17);
        for (input, expected) in [
            ("MSG a.b 17 5\r\nhe\r\no\r\nMSG", Some("he\r\no")),
            ("MSG a.b 17 0\r\n\r\n", Some("")),
            ("MSG a.b 17 007\r\n1234567\r\n", Some("1234567")),
        ] {
            assert_eq!(
                recognized(&familiar, input.as_bytes()),
                expected.map(|text| text.as_bytes().to_vec()),
                "{input:?}"
            );
        }
    }

    #[test]
    fn whatever_else_comes_is_left_to_the_parser() {
        let familiar = knowing(b"a", 1);
        for input in [
            "",
            "PING\r\n",
            "MSG b 1 1\r\nx\r\n",
            "MSG a 2 1\r\nx\r\n",
            "MSG a 11 1\r\nx\r\n",
            "MSG a 1 r 1\r\nx\r\n",
            "MSG a 1 \r\n\r\n",
            "MSG a 1 x\r\n\r\n",
            "MSG a 1 1000000000\r\n\r\n",
            "MSG a 1 999999999\r\n\r\n",
            "MSG a 1 1\n\nx\r\n",
            "MSG a 1 1\r\nxy\r\n",
            "HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
        ] {
            assert_eq!(familiar.recognize(input.as_bytes()), None, "{input:?}");
        }
        let whole = b"MSG a 1 3\r\nabc\r\n";
        for len in 0..whole.len() {
            assert_eq!(familiar.recognize(&whole[..len]), None, "{len} bytes of it");
        }
        assert_eq!(Familiar::default().recognize(whole), None);
    }
}
