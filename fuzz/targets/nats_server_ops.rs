//! What a server says: read in one piece or cut anywhere, the operations are the same, and no limit is passed.

#![no_main]

use crosstie_proto::nats::server_op::{MAX_BODY, MAX_LINE, Parsed, ServerOp, parse};
use libfuzzer_sys::fuzz_target;

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
            match parse(&held) {
                Parsed::Op { op, len } => {
                    assert!((1..=held.len()).contains(&len), "an operation takes up what is there");
                    if let ServerOp::Msg(msg) = &op {
                        assert!(msg.header_len.unwrap_or(0) <= msg.body.len() && !msg.subject.is_empty());
                    }
                    ops.push(format!("{op:?}"));
                    held.drain(..len);
                    wanted = 1;
                }
                Parsed::NeedMore { total } => {
                    assert!(total > held.len(), "asked for {total} bytes while {} are there", held.len());
                    assert!(total <= MAX_LINE + MAX_BODY + 2, "asked for {total} bytes");
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
    if let Parsed::Violation(violation) = parse(&held)
        && !held.is_empty()
    {
        ops.push(format!("{violation:?}"));
    }
    ops
}
