//! Subjects and patterns: matching and covering against a recursive model, the types against the rules of the wire.

#![no_main]

use crosstie_core::{Subject, SubjectPattern, is_valid_pattern, is_valid_subject, matches, pattern_covers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&[u8], &[u8])| {
    let (first, second) = texts;
    for text in [first, second] {
        if let Ok(text) = std::str::from_utf8(text) {
            check_types(text);
        }
    }
    if is_valid_pattern(first) && is_valid_subject(second) {
        assert_eq!(matches(first, second), model_matches(&tokens(first), &tokens(second)));
    }
    if is_valid_pattern(first) && is_valid_pattern(second) {
        assert_eq!(pattern_covers(first, second), model_covers(&tokens(first), &tokens(second)));
    }
});

/// Whatever the types accept, the wire accepts too; the wire is more lenient about control characters and length.
fn check_types(text: &str) {
    if let Ok(subject) = text.parse::<Subject>() {
        assert!(is_valid_subject(text.as_bytes()), "{text:?}");
        assert_eq!(subject.as_str(), text);
        let pattern = SubjectPattern::from(subject.clone());
        assert!(pattern.is_literal() && pattern.matches(&subject), "{text:?} does not match itself");
    }
    if let Ok(pattern) = text.parse::<SubjectPattern>() {
        assert!(is_valid_pattern(text.as_bytes()), "{text:?}");
        assert!(pattern_covers(text.as_bytes(), text.as_bytes()), "{text:?} does not cover itself");
        assert_eq!(pattern.is_literal(), text.parse::<Subject>().is_ok(), "{text:?}");
    }
}

fn tokens(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| *byte == b'.').collect()
}

fn model_matches(pattern: &[&[u8]], subject: &[&[u8]]) -> bool {
    match (pattern, subject) {
        ([], []) => true,
        ([b">"], [_, ..]) => true,
        ([wanted, pattern @ ..], [found, subject @ ..]) => {
            (*wanted == b"*" || wanted == found) && model_matches(pattern, subject)
        }
        _ => false,
    }
}

/// Covering by definition: every subject that the inner pattern stands for matches the outer one.
///
/// To know, a few are enough: each `*` filled with a token that the outer pattern does not name, and a final `>` filled with one, two and three more
/// than the outer pattern is long.
fn model_covers(outer: &[&[u8]], inner: &[&[u8]]) -> bool {
    // Longer than any that the outer one names, so that no input can name it.
    let fresh = vec![b'f'; 1 + outer.iter().map(|token| token.len()).max().unwrap_or_default()];
    let fresh = fresh.as_slice();
    let plain: Vec<&[u8]> = inner.iter().map(|token| if *token == b"*" { fresh } else { token }).collect();
    match plain.split_last() {
        Some((last, head)) if *last == b">" => (1..=outer.len() + 2).all(|more| {
            let subject: Vec<&[u8]> = head.iter().copied().chain(std::iter::repeat_n(fresh, more)).collect();
            model_matches(outer, &subject)
        }),
        _ => model_matches(outer, &plain),
    }
}
