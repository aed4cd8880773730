//! What simulated clients write to each other: payloads that say who wrote them, where to and why.

use std::fmt;

/// The payload of one publication. No two publications of a run have the same sender and number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) from: usize,
    /// Counts the publications of the sender.
    pub(crate) n: u64,
    pub(crate) subject: String,
    pub(crate) about: About,
}

/// Why a letter was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Nothing,
    /// To see whether everything works again.
    Probe,
    /// Expects an answer.
    Question,
    /// Answers the question that this client sent under this number.
    Answer {
        to: usize,
        n: u64,
    },
}

impl Letter {
    /// The letter in `payload`, padding aside; `None` if no simulated client wrote it.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut words = text.split(' ');
        let (from, n) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let subject = words.next()?.to_owned();
        let about = match words.next()? {
            "-" => About::Nothing,
            "probe" => About::Probe,
            "ask" => About::Question,
            "answer" => About::Answer { to: words.next()?.parse().ok()?, n: words.next()?.parse().ok()? },
            _ => return None,
        };
        Some(Self { from, n, subject, about })
    }

    /// The payload, `padding` bytes longer than need be.
    pub(crate) fn payload(&self, padding: usize) -> Vec<u8> {
        let mut payload = self.to_string().into_bytes();
        if padding > 0 {
            payload.push(b' ');
            payload.resize(payload.len() + padding, b'.');
        }
        payload
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.from, self.n, self.subject)?;
        match self.about {
            About::Nothing => f.write_str("-"),
            About::Probe => f.write_str("probe"),
            About::Question => f.write_str("ask"),
            About::Answer { to, n } => write!(f, "answer {to} {n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        for about in [About::Nothing, About::Probe, About::Question, About::Answer { to: 3, n: 9 }] {
            let letter = Letter { from: 1, n: 7, subject: "t.1.2".into(), about };
            assert_eq!(Letter::parse(&letter.payload(5)), Some(letter));
        }
        assert_eq!(Letter::parse(b"something else"), None);
    }
}
