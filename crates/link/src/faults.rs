//! Which bytes of a channel are a frame, for faults that are made on purpose.

use std::sync::Arc;

use crosstie_core::Result;
use crosstie_net::{Connection, Split, Splitter};
use crosstie_proto::frame::{FrameKind, MAX_HELLO, PREAMBLE, head};

use crate::ChannelOptions;

/// The connection with the faults that the options or its endpoint ask for.
pub(crate) fn with_faults(connection: Connection, options: &ChannelOptions) -> Result<Connection> {
    let splitter = splitter(options.max_frame);
    match &options.faults {
        Some(faults) => faults.over_frames(connection, splitter),
        None => Ok(connection.with_faults(Some(splitter))),
    }
}

/// Messages have numbers, and meet faults. What the two sides say of themselves does not: a stream does not lose that either.
fn splitter(max_frame: usize) -> Splitter {
    // What this side sends may be longer than what it takes; the session refuses what is too long.
    let max = max_frame.max(MAX_HELLO + head::HEAD).max(crosstie_proto::frame::DEFAULT_MAX_FRAME);
    Arc::new(move |bytes| {
        let there = bytes.len().min(PREAMBLE.len());
        if there > 0 && bytes[..there] == PREAMBLE[..there] {
            let whole = Split::Frame { len: PREAMBLE.len(), number: None };
            return if there == PREAMBLE.len() { whole } else { Split::NeedMore };
        }
        match head::parse(bytes, max) {
            Ok(head::Parsed::NeedMore(_)) => Split::NeedMore,
            Ok(head::Parsed::Frame(frame, len)) => {
                let number = (frame.kind == FrameKind::Message).then_some(frame.number);
                Split::Frame { len, number }
            }
            Err(_) => Split::Unknown,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_from_what_meets_no_faults() {
        let split = splitter(1024);
        let mut bytes = PREAMBLE.to_vec();
        assert_eq!(split(&bytes), Split::Frame { len: 8, number: None });
        assert_eq!(split(&bytes[..3]), Split::NeedMore);
        bytes.clear();
        head::append(&mut bytes, FrameKind::Message, 0, 17, 1024, |out| out.push(1)).unwrap();
        assert_eq!(split(&bytes), Split::Frame { len: 21, number: Some(17) });
        assert_eq!(split(&bytes[..20]), Split::NeedMore);
        bytes.clear();
        head::append(&mut bytes, FrameKind::Ping, 0, 17, 1024, |_| {}).unwrap();
        assert_eq!(split(&bytes), Split::Frame { len: 20, number: None });
        assert_eq!(split(b"GET / HTTP/1.1\r\n\r\n and more"), Split::Unknown);
    }
}
