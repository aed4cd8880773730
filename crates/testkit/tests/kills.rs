//! Kills in small numbers: what `cargo xtask kill` does in large ones, and the controls that show that it would notice.
//!
//! Processes are forked without exec, so this runs in one thread and without the usual harness. A name as argument runs the tests
//! that contain it.

use std::process::ExitCode;
use std::time::Duration;

use crosstie_testkit::kill::posix::{Held, Ledger, OneWord, Robust, Unrecovered};
use crosstie_testkit::kill::shared::{Books, Buffers, Frames, Newest, Permits, Slots, Stream};
use crosstie_testkit::kill::{Fault, Kind, Options, Structure};

const TESTS: &[(&str, fn())] = &[
    ("ledgers_stay_whole_whenever_a_holder_is_killed", ledgers_stay_whole_whenever_a_holder_is_killed),
    ("ledgers_stay_whole_behind_any_instruction", ledgers_stay_whole_behind_any_instruction),
    ("recoveries_are_recovered_from", recoveries_are_recovered_from),
    ("permits_come_back", permits_come_back),
    ("rings_lose_and_double_nothing", rings_lose_and_double_nothing),
    ("buffers_come_back", buffers_come_back),
    ("a_value_is_read_whole_and_never_goes_back", a_value_is_read_whole_and_never_goes_back),
    ("streams_are_cut_and_never_torn", streams_are_cut_and_never_torn),
    ("equal_process_ids_grant_nothing_twice", equal_process_ids_grant_nothing_twice),
    ("stops_forks_and_other_programs_have_an_outcome", stops_forks_and_other_programs_have_an_outcome),
    ("a_forgotten_guard_is_taken_back", a_forgotten_guard_is_taken_back),
    ("control_a_robust_posix_mutex_tears", control_a_robust_posix_mutex_tears),
    ("control_a_death_in_a_recovery_tears_without_roll_back", control_a_death_in_a_recovery_tears_without_roll_back),
    ("control_a_ledger_under_flock_tears", control_a_ledger_under_flock_tears),
    ("control_locks_without_recovery_get_stuck", control_locks_without_recovery_get_stuck),
    ("control_a_forked_child_keeps_a_flock", control_a_forked_child_keeps_a_flock),
    ("control_a_forked_child_keeps_a_stream", control_a_forked_child_keeps_a_stream),
    ("control_one_word_is_found_whole", control_one_word_is_found_whole),
];

fn main() -> ExitCode {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&wanted)) {
        if std::env::args().any(|argument| argument == "--list") {
            println!("{name}: test");
            continue;
        }
        let outcome = std::panic::catch_unwind(test);
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed += u32::from(outcome.is_err());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(structure: &dyn Structure, kind: Kind, count: u64, bound: Duration) -> Option<Fault> {
    let root = tempfile::tempdir().expect("a folder for the trial");
    let options = Options { seed: 1, count, bound, root: root.path().to_owned(), boundaries: (0, u64::MAX) };
    let report = kind.run(structure, &options).expect("the harness works");
    println!("{report}");
    report.faults.keys().next().copied()
}

fn is_whole(structure: &dyn Structure, kind: Kind, count: u64) {
    assert_eq!(run(structure, kind, count, Duration::from_secs(20)), None);
}

const BOOKS: [Books; 4] = [Books::UnderMutex, Books::InRegion, Books::InTxRegion, Books::UnderRwLock];

fn ledgers_stay_whole_whenever_a_holder_is_killed() {
    for books in BOOKS {
        is_whole(&books, Kind::Random, 100);
        is_whole(&books, Kind::Points, 100);
    }
}

fn ledgers_stay_whole_behind_any_instruction() {
    for books in BOOKS {
        is_whole(&books, Kind::Steps, 100);
    }
}

fn recoveries_are_recovered_from() {
    is_whole(&Books::UnderMutex, Kind::Recovery, 100);
    is_whole(&Books::InTxRegion, Kind::Recovery, 100);
    is_whole(&Books::UnderRwLock, Kind::Joining, 30);
}

fn permits_come_back() {
    is_whole(&Permits, Kind::Random, 100);
    is_whole(&Permits, Kind::Points, 100);
}

fn rings_lose_and_double_nothing() {
    let rings: [&dyn Structure; 2] = [&Slots, &Frames];
    for ring in rings {
        is_whole(ring, Kind::Random, 100);
        is_whole(ring, Kind::Points, 100);
        is_whole(ring, Kind::Steps, 100);
    }
}

fn buffers_come_back() {
    is_whole(&Buffers, Kind::Random, 100);
    is_whole(&Buffers, Kind::Points, 100);
    is_whole(&Buffers, Kind::Steps, 100);
}

fn a_value_is_read_whole_and_never_goes_back() {
    is_whole(&Newest, Kind::Random, 100);
    is_whole(&Newest, Kind::Points, 100);
    is_whole(&Newest, Kind::Steps, 100);
}

fn streams_are_cut_and_never_torn() {
    is_whole(&Stream::Plain, Kind::Random, 100);
    is_whole(&Stream::Plain, Kind::Points, 100);
    is_whole(&Stream::Plain, Kind::Namespaces, 20);
}

fn equal_process_ids_grant_nothing_twice() {
    is_whole(&Books::UnderMutex, Kind::Namespaces, 50);
}

fn stops_forks_and_other_programs_have_an_outcome() {
    is_whole(&Books::InRegion, Kind::Ends, 50);
    is_whole(&Slots, Kind::Ends, 50);
}

fn a_forgotten_guard_is_taken_back() {
    is_whole(&Books::Forgotten, Kind::Random, 50);
}

fn control_a_robust_posix_mutex_tears() {
    assert_eq!(run(&Robust, Kind::Steps, 20_000, Duration::from_secs(20)), Some(Fault::Torn));
}

/// Whoever recovers dies behind changes alone, and that is enough to find what tears.
fn control_a_death_in_a_recovery_tears_without_roll_back() {
    assert_eq!(run(&Robust, Kind::Recovery, 20_000, Duration::from_secs(20)), Some(Fault::Torn));
    assert_eq!(run(&Ledger, Kind::Joining, 20_000, Duration::from_secs(20)), Some(Fault::Torn));
}

fn control_a_ledger_under_flock_tears() {
    assert_eq!(run(&Ledger, Kind::Steps, 20_000, Duration::from_secs(20)), Some(Fault::Torn));
}

fn control_locks_without_recovery_get_stuck() {
    for held in [Held::Mutex, Held::Writer, Held::Reader, Held::Permit] {
        assert_eq!(run(&Unrecovered(held), Kind::Random, 5_000, Duration::from_secs(2)), Some(Fault::Stuck));
    }
}

fn control_a_forked_child_keeps_a_flock() {
    assert_eq!(run(&OneWord, Kind::Ends, 500, Duration::from_secs(2)), Some(Fault::Stuck));
}

/// Whoever is killed is not told of as long as a child of its has its socket.
fn control_a_forked_child_keeps_a_stream() {
    assert_eq!(run(&Stream::Forked, Kind::Points, 2_000, Duration::from_millis(500)), Some(Fault::Stuck));
}

fn control_one_word_is_found_whole() {
    is_whole(&OneWord, Kind::Random, 100);
    is_whole(&OneWord, Kind::Steps, 1_000);
}
