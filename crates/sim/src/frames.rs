//! Cutting a stream of bytes into the operations of the protocol.

use crosstie_proto::nats::{client_op, client_op::ClientLimits, server_op};

/// Which way a stream goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    ToClient,
    ToBroker,
}

/// Collects bytes until they make a whole operation.
#[derive(Debug)]
pub(crate) struct Frames {
    way: Way,
    held: Vec<u8>,
}

impl Frames {
    pub(crate) const fn new(way: Way) -> Self {
        Self { way, held: Vec::new() }
    }

    /// Every operation that is whole with `bytes`. A stream that breaks the protocol gives no more.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.held.extend_from_slice(bytes);
        let (mut frames, mut at) = (Vec::new(), 0);
        while let Some(len) = self.first(at) {
            frames.push(self.held[at..at + len].to_vec());
            at += len;
        }
        self.held.drain(..at);
        frames
    }

    fn first(&self, at: usize) -> Option<usize> {
        const LIMITS: ClientLimits = ClientLimits { max_control_line: 1 << 20, max_payload: 1 << 26 };
        let input = &self.held[at..];
        if input.is_empty() {
            return None;
        }
        match self.way {
            Way::ToClient => match server_op::parse(input) {
                server_op::Parsed::Op { len, .. } => Some(len),
                _ => None,
            },
            Way::ToBroker => match client_op::parse(input, &LIMITS) {
                client_op::Parsed::Op { len, .. } => Some(len),
                _ => None,
            },
        }
    }
}

/// A delivery, if `frame` is one.
pub(crate) fn delivery(frame: &[u8]) -> Option<server_op::Msg<'_>> {
    match server_op::parse(frame) {
        server_op::Parsed::Op { op: server_op::ServerOp::Msg(msg), .. } => Some(msg),
        _ => None,
    }
}

/// Id, pattern and queue group, if `frame` subscribes.
pub(crate) fn subscription(frame: &[u8]) -> Option<(u64, String, Option<String>)> {
    const LIMITS: ClientLimits = ClientLimits { max_control_line: 1 << 20, max_payload: 1 << 26 };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match client_op::parse(frame, &LIMITS) {
        client_op::Parsed::Op { op: client_op::ClientOp::Sub { subject, queue, sid }, .. } => {
            Some((text(sid).parse().ok()?, text(subject), queue.map(text)))
        }
        _ => None,
    }
}
