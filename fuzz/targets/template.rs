//! Templates of the command line: filled in as a search for the first place, again and again, would fill them in.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/cli/src/commands/template.rs"]
mod template;

const NAMES: [&str; 2] = ["{{payload}}", "{{count}}"];

fuzz_target!(|given: (&[u8], &[u8], &[u8])| {
    let (payload, count, text) = given;
    let values = [(NAMES[0], payload), (NAMES[1], count)];
    assert_eq!(template::fill(text, &values), model(text, &values));
    assert_eq!(template::fill(text, &[]), text, "nothing to fill in");
    if let Some(place) = std::str::from_utf8(text).ok().and_then(|text| template::unknown(text, &NAMES)) {
        assert!(!NAMES.contains(&place) && template::fill(place.as_bytes(), &values) == place.as_bytes(), "{place}");
    }
});

fn model(text: &[u8], values: &[(&str, &[u8])]) -> Vec<u8> {
    let place = |name: &str| text.windows(name.len()).position(|window| window == name.as_bytes());
    let first = values.iter().filter_map(|(name, value)| place(name).map(|at| (at, *name, *value))).min();
    let Some((at, name, value)) = first else { return text.to_vec() };
    [&text[..at], value, &model(&text[at + name.len()..], values)].concat()
}
