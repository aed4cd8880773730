//! What a client says, as bytes.
//!
//! Each function appends one whole operation. What a server says is written by the broker, which puts the parts that are the same for all
//! subscribers together once.

use crosstie_core::Headers;

pub use super::number::push_decimal;
use super::{Connect, header_block::encode_headers};

/// Appends `CONNECT {json}`.
pub fn connect(out: &mut Vec<u8>, connect: &Connect) {
    out.extend_from_slice(b"CONNECT ");
    out.extend_from_slice(connect.to_json().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends `PUB`, or `HPUB` if there are headers.
pub fn publish(out: &mut Vec<u8>, subject: &[u8], reply: Option<&[u8]>, headers: &Headers, payload: &[u8]) {
    let mut block = Vec::new();
    if !headers.is_empty() {
        encode_headers(headers, None, &mut block);
    }
    out.reserve(subject.len() + reply.map_or(0, <[u8]>::len) + block.len() + payload.len() + 40);
    out.extend_from_slice(if block.is_empty() { b"PUB " } else { b"HPUB " });
    out.extend_from_slice(subject);
    if let Some(reply) = reply {
        out.push(b' ');
        out.extend_from_slice(reply);
    }
    if !block.is_empty() {
        out.push(b' ');
        push_decimal(out, block.len());
    }
    out.push(b' ');
    push_decimal(out, block.len() + payload.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&block);
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

/// Appends `SUB`.
pub fn subscribe(out: &mut Vec<u8>, subject: &[u8], queue: Option<&[u8]>, sid: u64) {
    out.extend_from_slice(b"SUB ");
    out.extend_from_slice(subject);
    if let Some(queue) = queue {
        out.push(b' ');
        out.extend_from_slice(queue);
    }
    out.extend_from_slice(format!(" {sid}\r\n").as_bytes());
}

/// The most deliveries that `UNSUB` can ask for: servers read nine digits and take a longer number to mean "now".
pub const MAX_DELIVERIES: u64 = 999_999_999;

/// Appends `UNSUB`; with `max`, the subscription ends after as many deliveries in all, or after [`MAX_DELIVERIES`].
pub fn unsubscribe(out: &mut Vec<u8>, sid: u64, max: Option<u64>) {
    let max = max.map_or_else(String::new, |max| format!(" {}", max.min(MAX_DELIVERIES)));
    out.extend_from_slice(format!("UNSUB {sid}{max}\r\n").as_bytes());
}

/// Appends `PING`.
pub fn ping(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PING\r\n");
}

/// Appends `PONG`.
pub fn pong(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PONG\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::client_op::{ClientLimits, ClientOp, Parsed, Pub, parse};

    #[test]
    fn the_server_reads_what_the_client_writes() {
        let limits = ClientLimits { max_control_line: 4096, max_payload: 4096 };
        let mut headers = Headers::new();
        headers.append("K", "v").unwrap();
        let mut out = Vec::new();
        publish(&mut out, b"s", Some(b"r"), &headers, b"body");
        let Parsed::Op { op: ClientOp::Pub(Pub { subject, reply, header_len, body, .. }), len } = parse(&out, &limits)
        else {
            panic!()
        };
        assert_eq!((subject, reply, header_len), (&b"s"[..], Some(&b"r"[..]), Some(body.len() - 4)));
        assert!(body.ends_with(b"body") && len == out.len());
        out.clear();
        subscribe(&mut out, b"a.*", Some(b"q"), 7);
        let expected = ClientOp::Sub { subject: b"a.*", queue: Some(b"q"), sid: b"7" };
        assert_eq!(parse(&out, &limits), Parsed::Op { op: expected, len: out.len() });
        out.clear();
        unsubscribe(&mut out, 7, Some(3));
        assert_eq!(parse(&out, &limits), Parsed::Op { op: ClientOp::Unsub { sid: b"7", max: 3 }, len: out.len() });
    }

    #[test]
    fn a_count_too_long_for_a_server_is_not_read_as_now() {
        let mut out = Vec::new();
        unsubscribe(&mut out, 7, Some(u64::MAX));
        assert_eq!(out, b"UNSUB 7 999999999\r\n");
    }
}
