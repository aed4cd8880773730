//! The corpus as it lies in its folder: every case parses, has a recorded answer, and every listed difference names one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crosstie_testkit::wire::{Case, Differences, Step, read_all, read_record};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn cases() -> Vec<Case> {
    read_all(&folder()).expect("every file of cases parses")
}

#[test]
fn every_case_has_a_recorded_answer_and_a_configuration() {
    let cases = cases();
    let recorded = read_record(&folder().join("recorded.txt")).expect("a record");
    assert!(cases.len() >= 500, "only {} cases", cases.len());
    for case in &cases {
        assert!(recorded.contains_key(&case.name), "{} has no record", case.name);
        let config = folder().join("configs").join(format!("{}.conf", case.config));
        assert!(config.is_file(), "{}: no {}", case.name, config.display());
        assert!(!case.steps.is_empty(), "{} does nothing", case.name);
    }
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    for name in recorded.keys() {
        assert!(names.contains(name), "a record of no case: {name}");
    }
}

#[test]
fn every_difference_names_a_case() {
    let names: BTreeSet<_> = cases().into_iter().map(|case| case.name).collect();
    let differences = Differences::read(&folder().join("differences.txt")).expect("a list of differences");
    for (name, reason) in &differences.cases {
        assert!(names.contains(name), "{name} is no case");
        assert!(reason.len() > 10, "{name} has no reason worth the name");
    }
}

#[test]
fn every_error_that_a_core_server_tells_is_in_the_record() {
    let recorded = std::fs::read_to_string(folder().join("recorded.txt")).expect("a record");
    let texts = [
        "Unknown Protocol Operation",
        "maximum control line exceeded",
        "Maximum Payload Violation",
        "Invalid Publish Subject",
        "Invalid Subject",
        "invalid client protocol",
        "no responders requires headers support",
        "Authorization Violation",
        "Authentication Timeout",
        "Permissions Violation for Publish to \"",
        "Permissions Violation for Subscription to \"",
        "using queue \"",
        "maximum subscriptions exceeded",
        "maximum connections exceeded",
        "Stale Connection",
    ];
    for text in texts {
        assert!(recorded.contains(&format!("-ERR '{text}")) || recorded.contains(text), "{text} never comes");
    }
}

#[test]
fn every_verb_is_spoken() {
    let sent: Vec<Vec<u8>> = cases()
        .into_iter()
        .flat_map(|case| case.steps)
        .filter_map(|step| match step {
            Step::Send(_, bytes) => Some(bytes),
            _ => None,
        })
        .collect();
    for verb in ["CONNECT", "PUB", "HPUB", "SUB", "UNSUB", "PING", "PONG", "INFO", "+OK", "-ERR", "MSG", "HMSG"] {
        let spoken =
            |form: &str| sent.iter().any(|bytes| bytes.windows(form.len()).any(|window| window == form.as_bytes()));
        assert!(spoken(verb), "{verb} is not spoken");
        assert!(spoken(&verb.to_lowercase()) || verb == "HMSG", "{verb} is not spoken in lower case");
    }
}
