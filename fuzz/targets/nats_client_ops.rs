//! What a client says: read in one piece or cut anywhere, the operations are the same, and no limit is passed.

#![no_main]

use crosstie_proto::nats::client_op::{ClientLimits, ClientOp, Parsed, parse};
use libfuzzer_sys::fuzz_target;

const LIMITS: ClientLimits = ClientLimits { max_control_line: 128, max_payload: 256 };

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (cuts, bytes) = input;
    let whole = read(bytes, std::iter::empty());
    let cut = read(bytes, cuts.iter().map(|cut| usize::from(*cut)));
    assert_eq!(whole, cut, "cut after {cuts:?}");
});

/// Every operation of `bytes` as text, the bytes coming in pieces of the `sizes` given and then all at once.
fn read(bytes: &[u8], sizes: impl Iterator<Item = usize>) -> Vec<String> {
    let (mut ops, mut held, mut wanted) = (Vec::new(), Vec::new(), 1);
    let mut rest = bytes;
    for size in sizes.chain([usize::MAX]) {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        held.extend_from_slice(piece);
        while held.len() >= wanted {
            match parse(&held, &LIMITS) {
                Parsed::Op { op, len } => {
                    assert!((1..=held.len()).contains(&len), "an operation takes up what is there");
                    check_limits(&op);
                    ops.push(format!("{op:?}"));
                    held.drain(..len);
                    wanted = 1;
                }
                Parsed::NeedMore { total } => {
                    assert!(total > held.len(), "asked for {total} bytes while {} are there", held.len());
                    assert!(total <= 2 * (LIMITS.max_control_line + LIMITS.max_payload), "asked for {total} bytes");
                    wanted = total;
                }
                Parsed::Violation(violation) => {
                    ops.push(format!("{violation:?}"));
                    return ops;
                }
            }
        }
    }
    // What is left is looked at once more: the parser may see a broken ending before the bytes that it asked for have come.
    if let Parsed::Violation(violation) = parse(&held, &LIMITS)
        && !held.is_empty()
    {
        ops.push(format!("{violation:?}"));
    }
    ops
}

fn check_limits(op: &ClientOp<'_>) {
    match op {
        ClientOp::Pub(publish) => {
            assert!(publish.body.len() <= LIMITS.max_payload);
            assert!(publish.header_len.unwrap_or(0) <= publish.body.len());
            assert!(!publish.subject.is_empty());
        }
        ClientOp::Sub { subject, sid, .. } => assert!(!subject.is_empty() && !sid.is_empty()),
        ClientOp::Connect(arguments) | ClientOp::Err(arguments) => assert!(arguments.len() <= LIMITS.max_control_line),
        _ => {}
    }
}
