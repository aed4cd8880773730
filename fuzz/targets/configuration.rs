//! Configuration files, ours and nats-server's: whatever they hold, they are read or refused at a line and column that exist.

#![no_main]

use crosstie_server::{ConfigError, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    check(text, fuzzing::nats_configuration(text));
    check(text, fuzzing::configuration(text));
});

fn check(text: &str, outcome: Result<(), ConfigError>) {
    let Err(error) = outcome else { return };
    let shown = error.to_string();
    assert!(!error.message().is_empty());
    let place = shown.strip_prefix("text:").and_then(|rest| rest.split_once(": ")).map(|(place, _)| place);
    let numbers: Vec<usize> = place.into_iter().flat_map(|p| p.split(':')).filter_map(|n| n.parse().ok()).collect();
    let [line, column] = numbers[..] else { panic!("{shown:?} names no place") };
    let lines: Vec<&str> = text.split('\n').collect();
    assert!((1..=lines.len()).contains(&line), "{shown:?}: there are {} lines", lines.len());
    assert!(
        (1..=lines[line - 1].chars().count() + 1).contains(&column),
        "{shown:?}: the line is {:?}",
        lines[line - 1]
    );
}
