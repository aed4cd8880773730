//! Header blocks: what is accepted is written as a block that means the same.

#![no_main]

use crosstie_core::Headers;
use crosstie_proto::nats::{decode_headers, encode_headers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|block: &[u8]| {
    let Ok((headers, status)) = decode_headers(block) else {
        return;
    };
    assert!(headers.len() <= Headers::MAX_ENTRIES);
    let mut written = Vec::new();
    encode_headers(&headers, status.as_ref(), &mut written);
    assert_eq!(decode_headers(&written), Ok((headers, status)), "written as {:?}", String::from_utf8_lossy(&written));
});
