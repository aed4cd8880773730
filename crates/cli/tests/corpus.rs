//! The raw-protocol corpus, held with the built command as a whole conversation each: what nats-server answered when it was recorded, and what
//! is pinned where our broker means to differ.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crosstie_testkit::wire::{Differences, Pieces, Stage, Transcripts, read_all, read_record};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/corpus")
}

/// What each case must bring.
fn expected() -> Transcripts {
    let mut expected = read_record(&folder().join("recorded.txt")).expect("a record");
    expected.extend(read_record(&folder().join("meant.txt")).expect("a record of what is meant"));
    expected
}

/// Holds every case whose name has this part, on two stages with servers of their own, and tells those that brought something else.
fn wrong(expected: &Transcripts, part: &str) -> Vec<String> {
    let mut cases = read_all(&folder()).expect("every file of cases parses");
    cases.retain(|case| case.name.contains(part));
    let differences = Differences::read(&folder().join("differences.txt")).expect("a list of differences");
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let program = Path::new(env!("CARGO_BIN_EXE_crosstie"));
                let mut stage = Stage::new(program, &folder().join("configs"), differences.info_keys.clone());
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match stage.perform(case, Pieces::Whole) {
                        Ok(lines) if expected.get(&case.name) == Some(&lines) => {}
                        Ok(lines) => wrong.lock().unwrap().push(format!("{}: {lines:#?}", case.name)),
                        Err(why) => wrong.lock().unwrap().push(format!("{}: {why}", case.name)),
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

#[test]
fn every_conversation_goes_as_recorded() {
    let wrong = wrong(&expected(), "");
    assert!(wrong.is_empty(), "{} went otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn control_a_conversation_that_goes_otherwise_is_told() {
    let mut expected = expected();
    for lines in expected.values_mut() {
        lines.push("a| +OK".to_owned());
    }
    let told = wrong(&expected, "ping/ping");
    assert!(!told.is_empty());
    assert_eq!(told.len(), wrong(&Transcripts::new(), "ping/ping").len(), "every one of them");
}

#[test]
fn what_is_meant_to_differ_is_pinned_and_does_differ() {
    let recorded = read_record(&folder().join("recorded.txt")).expect("a record");
    let meant = read_record(&folder().join("meant.txt")).expect("a record of what is meant");
    let differences = Differences::read(&folder().join("differences.txt")).expect("a list of differences");
    assert!(meant.keys().eq(differences.cases.keys()), "run the corpus with --record");
    for (name, lines) in &meant {
        assert_ne!(recorded.get(name), Some(lines), "{name} does not differ");
    }
}
