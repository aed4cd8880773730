//! What a client writes is what a server reads.

#![no_main]

use crosstie_core::{Headers, is_valid_pattern, is_valid_subject};
use crosstie_proto::nats::{
    client_op::{ClientLimits, ClientOp, Parsed, parse},
    decode_headers, write,
};
use libfuzzer_sys::fuzz_target;

const LIMITS: ClientLimits = ClientLimits { max_control_line: 16 * 1024, max_payload: 64 * 1024 };

#[derive(Debug, arbitrary::Arbitrary)]
struct Said<'a> {
    subject: &'a [u8],
    second: Option<&'a [u8]>,
    headers: Vec<(&'a str, &'a str)>,
    payload: &'a [u8],
    sid: u64,
    max: Option<u32>,
}

fuzz_target!(|said: Said<'_>| {
    publish(&said);
    subscribe(&said);
    let mut out = Vec::new();
    write::unsubscribe(&mut out, said.sid, said.max.map(u64::from));
    let max = said.max.unwrap_or(0).min(write::MAX_DELIVERIES as u32);
    assert_eq!(read(&out), ClientOp::Unsub { sid: said.sid.to_string().as_bytes(), max });
});

fn publish(said: &Said<'_>) {
    if !is_valid_subject(said.subject) || said.second.is_some_and(|reply| !is_valid_subject(reply)) {
        return;
    }
    let mut headers = Headers::new();
    for (name, value) in &said.headers {
        // What the rules forbid stays outside; how they do it is the target `headers`.
        let _ = headers.append(*name, *value);
    }
    let mut out = Vec::new();
    write::publish(&mut out, said.subject, said.second, &headers, said.payload);
    let ClientOp::Pub(found) = read(&out) else { panic!("a publish was read as something else") };
    assert_eq!((found.subject, found.reply), (said.subject, said.second));
    let (block, payload) = found.body.split_at(found.header_len.unwrap_or(0));
    assert_eq!(payload, said.payload);
    assert_eq!(found.header_len.is_some(), !headers.is_empty());
    if !headers.is_empty() {
        assert_eq!(decode_headers(block), Ok((headers, None)));
    }
}

fn subscribe(said: &Said<'_>) {
    if !is_valid_pattern(said.subject) || said.second.is_some_and(|queue| !is_valid_subject(queue)) {
        return;
    }
    let mut out = Vec::new();
    write::subscribe(&mut out, said.subject, said.second, said.sid);
    let sid = said.sid.to_string();
    assert_eq!(read(&out), ClientOp::Sub { subject: said.subject, queue: said.second, sid: sid.as_bytes() });
}

/// The one operation that `written` is.
fn read(written: &[u8]) -> ClientOp<'_> {
    match parse(written, &LIMITS) {
        Parsed::Op { op, len } if len == written.len() => op,
        other => panic!("{:?} is read as {other:?}", String::from_utf8_lossy(written)),
    }
}
