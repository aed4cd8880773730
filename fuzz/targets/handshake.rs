//! The two JSON documents of the handshake: what is accepted is written as a document that means the same.

#![no_main]

use crosstie_proto::nats::{Connect, Info};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Ok(connect) = Connect::default().amended(json) {
        let written = connect.to_json();
        let again = Connect::default().amended(written.as_bytes()).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert!(again == connect, "{written}");
        assert!(connect.amended(b"{}").is_ok_and(|same| same == connect), "nothing changed, and yet it did");
    }
    if let Ok(info) = serde_json::from_slice::<Info>(json) {
        let written = info.to_json();
        let again: Info = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(again.to_json(), written);
    }
});
