//! `crosstie shm` as a shell meets it, with processes that take part and are killed.
//!
//! Processes are forked without exec, so this runs in one thread and without the usual harness. A name as argument runs the tests
//! that contain it.

mod place;
mod terminal;

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use crosstie::shm::{
    Act, Element, Kind, Latest, Life, Mutex, Participant, Region, Segment, SegmentName, ShmSafe, Spec,
};
use crosstie_sys::trial::{Child, fork};
use place::Place;

const TESTS: &[(&str, fn())] = &[
    ("every_command_shows_what_there_is", every_command_shows_what_there_is),
    ("trace_shows_the_last_acts_of_a_killed_process", trace_shows_the_last_acts_of_a_killed_process),
    ("gc_after_killing_everything_leaves_the_directory_empty", gc_after_killing_everything_leaves_the_directory_empty),
    ("control_gc_keeps_what_is_in_use", control_gc_keeps_what_is_in_use),
    ("rm_refuses_what_is_in_use_unless_forced", rm_refuses_what_is_in_use_unless_forced),
    ("rm_goes_on_behind_what_it_cannot_remove", rm_goes_on_behind_what_it_cannot_remove),
    ("what_is_wrong_has_its_exit_code", what_is_wrong_has_its_exit_code),
    ("show_prints_the_fields_of_a_value_as_it_was_committed", show_prints_the_fields_of_a_value_as_it_was_committed),
    ("dump_says_what_the_bytes_are", dump_says_what_the_bytes_are),
    ("who_looks_makes_no_directory", who_looks_makes_no_directory),
    ("tables_fit_the_terminal_unless_everything_is_asked_for", tables_fit_the_terminal_unless_everything_is_asked_for),
    ("what_others_are_called_does_nothing_to_a_terminal", what_others_are_called_does_nothing_to_a_terminal),
    ("control_what_is_not_for_people_has_names_as_they_are", control_what_is_not_for_people_has_names_as_they_are),
    ("an_output_that_nobody_reads_ends_it_without_a_word", an_output_that_nobody_reads_ends_it_without_a_word),
    ("help_has_examples_first", help_has_examples_first),
];

fn main() -> ExitCode {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    if std::env::args().any(|argument| argument == "--list") {
        for (name, _) in TESTS {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&wanted)) {
        let outcome = std::panic::catch_unwind(test);
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed += u32::from(outcome.is_err());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Clone, Copy, ShmSafe)]
#[shm(crate = crosstie::shm)]
#[repr(C)]
struct Ledger {
    cents: [i64; 4],
    moved: u64,
}

fn segment(place: &Place, name: &str) -> Segment {
    let spec = Spec::new(Kind::Region, Ledger::element()).participants(4).locks(1).data(128);
    let name: SegmentName = name.parse().unwrap();
    let fill = |segment: &Segment| {
        let words = segment.data().records::<std::sync::atomic::AtomicU64>(0, 2)?;
        words[0].store(u64::from_le_bytes(*b"crosstie"), std::sync::atomic::Ordering::Relaxed);
        Ok(())
    };
    Segment::create(&place.directory(), &name, &spec, fill).unwrap()
}

/// A child that joins, notes `notes` acts, and does nothing until it is ended.
fn member(segment: &Segment, name: &str, notes: u64) -> Child {
    let before = segment.membership().load(std::sync::atomic::Ordering::Acquire);
    let child = fork(|| {
        let member = Participant::join(segment, name).unwrap();
        for number in 0..notes {
            member.record(Act::Noted, 7, [number, 0]);
        }
        // Somebody who joins and leaves again is told to everyone, too.
        drop(Participant::join(segment, "done").unwrap());
        loop {
            std::thread::park();
        }
    })
    .unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    // The child is one who joined; the one who joined and left after it makes it three.
    while segment.membership().load(std::sync::atomic::Ordering::Acquire).wrapping_sub(before) < 3 {
        assert!(Instant::now() < limit, "waited in vain until the child has joined");
        std::thread::yield_now();
    }
    child
}

fn every_command_shows_what_there_is() {
    let place = Place::new();
    assert_eq!(place.text(&["shm", "ls"]), "");
    let ledger = segment(&place, "ledger");
    let _me = Participant::join(&ledger, "the test").unwrap();

    let listed = place.text(&["shm", "ls"]);
    assert!(listed.lines().nth(1).unwrap().starts_with("ledger  1    region"), "{listed}");
    let listed = place.json(&["shm", "ls"]);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["alive"], &listed[0]["state"]),
        (&"ledger".into(), &1.into(), &"ready".into())
    );

    let shown = place.text(&["shm", "show", "ledger"]);
    assert!(shown.contains("cents [i64;4] @0 +32\nmoved u64 @32 +8\n"), "{shown}");
    assert!(shown.contains("participants (1 of 4 slots)") && shown.contains("the test"), "{shown}");
    let shown = place.json(&["shm", "show", "ledger@1"]);
    assert_eq!(shown[0]["participants"][0]["pid"], std::process::id());
    assert_eq!(shown[0]["element"]["fields"][1], "cents [i64;4] @0 +32");

    let dumped = place.text(&["shm", "dump", "ledger"]);
    // A segment whose locks are not laid out says nothing of its data.
    assert!(dumped.starts_with("00000000  63 72 6f 73 73 74 69 65 00"), "{dumped}");
    assert!(dumped.contains("|crosstie........|") && dumped.contains("\n*\n"), "{dumped}");
    assert_eq!(place.run(&["shm", "dump", "ledger", "--raw", "--offset", "5", "--length", "3"]).stdout, b"tie");
    assert_eq!(place.json(&["shm", "dump", "ledger", "--length", "8"])[0]["hex"], "63726f7373746965");

    let traced = place.json(&["shm", "trace", "ledger"]);
    assert_eq!((&traced[0]["act"], &traced[0]["life"]), (&"joined".into(), &"alive".into()));
}

fn trace_shows_the_last_acts_of_a_killed_process() {
    let place = Place::new();
    let ledger = segment(&place, "ledger");
    let mut child = member(&ledger, "victim", 300);
    child.kill().unwrap();
    let traced = place.json(&["shm", "trace", "ledger", "--slot", "1"]);
    assert_eq!(traced.len(), 256);
    for (line, number) in traced.iter().zip(300 - 256..) {
        assert_eq!((&line["name"], &line["life"], &line["object"]), (&"victim".into(), &"dead".into(), &7.into()));
        assert_eq!(line["detail"][0], number);
    }
    let text = place.text(&["shm", "trace", "ledger", "--slot", "1", "--last", "1"]);
    assert!(text.lines().nth(1).unwrap().ends_with("299 0") && text.lines().count() == 2, "{text}");
    // Whoever was in a slot before is not taken for who is in it now.
    let _next = Participant::join(&ledger, "next").unwrap();
    let traced = place.json(&["shm", "trace", "ledger", "--slot", "1"]);
    let (last, before) = traced.split_last().unwrap();
    assert_eq!((&last["act"], &last["name"], &last["life"]), (&"joined".into(), &"next".into(), &"alive".into()));
    assert!(before.iter().all(|line| line["name"] == "" && line["life"] == "gone"), "{before:?}");
    let nobody = place.run(&["shm", "trace", "ledger", "--slot", "4"]);
    let told = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(nobody.status.success() && nobody.stdout.is_empty(), "{told}");
    assert!(told.contains("by whoever was in slot 4; so far slots 1, 2 were taken"), "{told}");
}

fn gc_after_killing_everything_leaves_the_directory_empty() {
    let place = Place::new();
    let (one, two) = (segment(&place, "one"), segment(&place, "two"));
    let mut children = [member(&one, "a", 0), member(&one, "b", 0), member(&two, "c", 0)];
    for child in &mut children {
        child.kill().unwrap();
    }
    let swept = place.json(&["shm", "gc"]);
    assert_eq!(swept.len(), 2);
    assert!(swept.iter().all(|line| line["outcome"] == "removed"), "{swept:?}");
    assert_eq!(swept[0]["recovered_slots"], serde_json::json!([1, 2]));
    assert_eq!(std::fs::read_dir(&place.segments).unwrap().count(), 0);
    assert_eq!(place.text(&["shm", "gc"]), "");
}

fn control_gc_keeps_what_is_in_use() {
    let place = Place::new();
    let one = segment(&place, "one");
    let _alive = member(&one, "alive", 0);
    assert_eq!(place.text(&["shm", "gc"]), "kept one@1: 1 live participants\n");
    assert_eq!(std::fs::read_dir(&place.segments).unwrap().count(), 1);
}

fn rm_goes_on_behind_what_it_cannot_remove() {
    let place = Place::new();
    drop((segment(&place, "first"), segment(&place, "last")));
    std::fs::create_dir(place.segments.join("folder@1")).unwrap();
    let output = place.run(&["shm", "rm", "--force", "first", "folder", "nothing", "last"]);
    let (told, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), told.as_str()), (Some(1), "removed first\nremoved last\n"), "{errors}");
    assert!(errors.contains("folder@1") && errors.contains("'nothing'"), "{errors}");
    assert_eq!(std::fs::read_dir(&place.segments).unwrap().count(), 1);
}

fn rm_refuses_what_is_in_use_unless_forced() {
    let place = Place::new();
    let one = segment(&place, "one");
    let me = Participant::join(&one, "me").unwrap();
    let refused = place.run(&["shm", "rm", "one"]);
    assert_eq!(refused.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("in use by 1 live participants"));
    me.check().unwrap();
    assert_eq!(place.text(&["shm", "rm", "one", "--force"]), "removed one\n");
    assert!(me.check().unwrap_err().to_string().contains("was removed"));
    assert_eq!(me.life(me.id()).unwrap(), Life::Alive);
    assert_eq!(std::fs::read_dir(&place.segments).unwrap().count(), 0);
}

fn what_is_wrong_has_its_exit_code() {
    let place = Place::new();
    let told = |words: &[&str], code: i32, text: &str| place.told(words, code, text);
    // Where nobody has made anything yet.
    told(&["shm", "show", "nobody"], 3, "expected a segment of that name, found no directory");
    place.directory();
    told(&["shm", "show", "nobody"], 3, "expected a segment 'nobody', found none");
    told(&["shm", "show", "nobody@2"], 3, "expected a segment 'nobody@2', found none");
    told(&["shm", "show", "No"], 2, "'N' is not allowed");
    told(&["shm", "show", "one@x"], 2, "expected the number of a generation");
    told(&["shm", "rm", "nobody"], 3, "found none");
    told(&["shm", "frob"], 2, "unrecognized subcommand");
    segment(&place, "one");
    let beyond = ["shm", "dump", "one", "--offset", "100", "--length", "29"];
    told(&beyond, 2, "expected a place within the 128 bytes of 'data'");
    assert_eq!(place.run(&["shm", "dump", "one", "--raw", "--json"]).status.code(), Some(2));
    for slot in ["0", "5", "99"] {
        told(
            &["shm", "trace", "one", "--slot", slot],
            3,
            &format!("which has 1 to 4, came {slot}; nobody has taken part"),
        );
    }

    // A file that is no segment takes a name, and is told by every command.
    let bad = place.segments.join("bad@1");
    std::fs::write(&bad, vec![b'x'; 8192]).unwrap();
    std::fs::set_permissions(&bad, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let reason = "expected a segment ('XTIE-SEG'), came a file that begins with 'xxxxxxxx'";
    told(&["shm", "show", "bad"], 1, reason);
    told(&["shm", "gc"], 1, "files that are no segments that can be judged: 1");
    segment(&place, "one");
    let listed = place.shown(80, &["shm", "ls"]);
    assert!(
        listed.contains(reason) && listed.lines().any(|line| line.starts_with("bad ") && line.ends_with("refused"))
    );
    let table: Vec<_> = listed.lines().take_while(|line| !line.is_empty()).collect();
    assert!(table.len() == 3 && table.iter().all(|line| line.chars().count() <= 80), "{listed}");
    told(&["shm", "rm", "bad"], 1, "is refused");
    assert_eq!(place.text(&["shm", "rm", "bad", "--force"]), "removed bad\n");

    // A directory that others may change is not used.
    std::fs::set_permissions(&place.segments, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    told(&["shm", "ls"], 4, "of mode 0700 at most, came 0755; name one in it");
}

fn show_prints_the_fields_of_a_value_as_it_was_committed() {
    let place = Place::new();
    let initial = Ledger { cents: [1, -2, 3, 4], moved: 5 };
    let region = Region::create(&place.directory(), &"ledger".parse().unwrap(), initial).unwrap();
    let mut guard = region.try_lock().unwrap().into_guard();
    guard.moved = 6;
    // What is not committed is nobody's business, and nobody waits for who has the lock.
    let shown = place.text(&["shm", "show", "ledger"]);
    assert!(shown.contains("\nvalue (committed 0 times)\ncents  [1, -2, 3, 4]\nmoved  5\n"), "{shown}");
    guard.commit();
    let shown = place.json(&["shm", "show", "ledger"]);
    let value = serde_json::json!({ "version": 1, "fields": { "cents": [1, -2, 3, 4], "moved": 6 } });
    assert_eq!(shown[0]["value"], value);

    let latest = Latest::<Ledger>::create(&place.directory(), &"price".parse().unwrap(), 2).unwrap();
    assert_eq!(place.json(&["shm", "show", "price"])[0]["value"], serde_json::Value::Null);
    latest.writer().unwrap().write(&initial).unwrap();
    assert!(place.text(&["shm", "show", "price"]).contains("\nvalue (written once)\ncents  [1, -2, 3, 4]\nmoved  5\n"));
    // The control: a segment that has no value shows none.
    segment(&place, "raw");
    assert!(!place.text(&["shm", "show", "raw"]).contains("\nvalue"));
}

fn dump_says_what_the_bytes_are() {
    let place = Place::new();
    let initial = Ledger { cents: [1, 2, 3, 4], moved: 5 };
    let region = Region::create(&place.directory(), &"ledger".parse().unwrap(), initial).unwrap();
    let dumped = place.text(&["shm", "dump", "ledger"]);
    let above = |place: &str| {
        let lines: Vec<_> = dumped.lines().collect();
        let at = lines.iter().position(|line| line.starts_with(place)).unwrap_or_else(|| panic!("{place}: {dumped}"));
        lines[at - 1].to_owned()
    };
    assert_eq!(above("00000000"), "# 0 not used, so that place 0 can mean: none");
    assert_eq!(above("00000040"), "# 64 value, copy 1: current, commit 0; 64 cents");
    assert_eq!(above("00000060"), "# 96 moved; 104 value, copy 2: to be written next; 104 cents");
    let cells = place.json(&["shm", "dump", "ledger", "--part", "locks", "--length", "16"]);
    assert_eq!(cells[0]["begins"][0]["what"], "lock 0: lock word (waiters, holder)");
    assert_eq!((&cells[0]["begins"][2]["offset"], &cells[0]["begins"][2]["what"]), (&8.into(), &"version".into()));
    let header = place.text(&["shm", "dump", "ledger", "--part", "header"]);
    assert!(
        header.starts_with("# 0 magic; 8 byte order; 12 layout version\n00000000  58 54 49 45 2d 53 45 47"),
        "{header}"
    );
    for part in ["header", "participants", "locks", "waiters", "events", "data"] {
        let text = place.text(&["shm", "dump", "ledger", "--part", part]);
        assert!(text.starts_with("# 0 ") && text.lines().all(|line| line.chars().count() <= 80), "{part}: {text}");
    }
    // Bytes for programs are bytes alone.
    let raw = place.run(&["shm", "dump", "ledger", "--raw", "--offset", "64", "--length", "8"]);
    assert_eq!(raw.stdout, 1_i64.to_le_bytes());
    drop(region);
}

fn who_looks_makes_no_directory() {
    let place = Place::new();
    let path = place.segments.to_str().unwrap();
    // One that a command line names is to be there; the usual one may come with the first who shares something.
    let elsewhere = format!("{path}-of-others");
    for words in [&["shm", "ls"][..], &["shm", "gc"], &["locks"], &["shm", "show", "a"], &["shm", "rm", "a"]] {
        place.told(
            &[words, &["--dir", &elsewhere]].concat(),
            3,
            &format!("expected a directory at {elsewhere}, found none"),
        );
        assert!(!Path::new(&elsewhere).exists(), "{words:?}");
    }
    for words in [&["shm", "ls"][..], &["shm", "gc"], &["locks"]] {
        let output = place.run(words);
        assert!(output.status.success() && output.stdout.is_empty(), "{words:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(path), "{words:?}: {output:?}");
        assert!(!place.segments.exists(), "{words:?}");
    }
    // Whoever is to share something makes it, but not what it should be in.
    let nowhere = format!("{path}/nowhere");
    place.told(
        &["lock", "a", "--dir", &nowhere, "--", "true"],
        3,
        &format!("expected a directory at {path}, found none"),
    );
    place.told(&["lock", "a", "--dir", "/proc/segments", "--", "true"], 125, "/proc/segments: it cannot be made: ");
    let output = place.crosstie(&["shm", "ls"]).env("CROSSTIE_DIR_GROUP", "staff").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("the number of a group in CROSSTIE_DIR_GROUP, came 'staff'")
    );
    assert_eq!(place.text(&["lock", "a", "--", "echo", "made"]), "made\n");
    assert!(place.segments.exists());
}

fn tables_fit_the_terminal_unless_everything_is_asked_for() {
    let place = Place::new();
    let _busy = member(&segment(&place, &"long-name-".repeat(6)), &"participant ".repeat(5), 3);
    let name = "long-name-".repeat(6);
    let region = "long-region-".repeat(5).parse().unwrap();
    let region = Region::create(&place.directory(), &region, Ledger { cents: [0; 4], moved: 0 }).unwrap();
    let _held = region.try_lock().unwrap();
    for words in [&["shm", "ls"][..], &["shm", "show", &name], &["shm", "trace", &name], &["locks"]] {
        for columns in [60, 80, 200] {
            let shown = place.shown(columns, words);
            let wide: Vec<_> = shown.lines().filter(|line| line.chars().count() > usize::from(columns)).collect();
            assert!(wide.is_empty(), "{words:?} at {columns}: {wide:#?}");
        }
    }
    // The control: with everything in it, it is wider than that.
    let everything = place.shown(60, &["shm", "ls", "--wide"]);
    assert!(everything.contains("CREATED") && everything.lines().any(|line| line.chars().count() > 80), "{everything}");
    assert!(!place.shown(60, &["shm", "ls"]).contains("CREATED"));
    // A pipe has no width: it gets all columns.
    let words = |text: &str| text.lines().next().map(|heads| heads.split_whitespace().collect::<Vec<_>>().join(" "));
    let piped = place.text(&["shm", "ls"]);
    assert_eq!(words(&piped), words(&everything));
    assert!(piped.lines().any(|line| line.contains(&name)), "{piped}");
}

/// Whoever shares a directory may be called anything.
const ODD: &str = "clears\u{1b}[2J\na\u{9b}2Jline";

/// A segment with a field and a participant that are called so, and a lock whose holder is.
fn oddly_called(place: &Place) -> (Child, Mutex<u64>) {
    let element = Element::new(8, 8, "odd size=8 align=8\nred\u{1b}[31m u64 @0 +8\n");
    let spec = Spec::new(Kind::Region, element).participants(4).locks(1).data(192);
    let segment = Segment::create(&place.directory(), &"odd".parse().unwrap(), &spec, |_| Ok(())).unwrap();
    let lock = Mutex::enter(&place.directory(), &"lock".parse().unwrap(), 0_u64, ODD).unwrap();
    (member(&segment, ODD, 1), lock)
}

fn what_others_are_called_does_nothing_to_a_terminal() {
    let place = Place::new();
    let (_other, lock) = oddly_called(&place);
    let _held = lock.try_lock().unwrap();
    for words in [&["shm", "show", "odd"][..], &["shm", "trace", "odd"], &["shm", "dump", "odd"], &["locks"]] {
        let all = place.text(words);
        assert!(all.lines().all(|line| !line.contains(char::is_control)), "{words:?}: {all:?}");
        assert!(all.contains("clears\\x1b[2J a\\u{9b}2Jline") || words.contains(&"dump"), "{words:?}: {all:?}");
    }
}

fn control_what_is_not_for_people_has_names_as_they_are() {
    let place = Place::new();
    let (_other, lock) = oddly_called(&place);
    let _held = lock.try_lock().unwrap();
    let shown = &place.json(&["shm", "show", "odd"])[0];
    assert!(shown["participants"].as_array().unwrap().iter().any(|participant| participant["name"] == ODD));
    assert_eq!(place.json(&["locks", "lock"])[0]["holders"][0]["who"]["name"], ODD);
}

fn an_output_that_nobody_reads_ends_it_without_a_word() {
    let place = Place::new();
    let ledger = segment(&place, "ledger");
    let _me = Participant::join(&ledger, "the test").unwrap();
    for words in [&["ls"][..], &["show", "ledger"], &["trace", "ledger"], &["dump", "ledger"], &["gc"]] {
        for json in [&[][..], &["--json"]] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = place.crosstie(&[&["shm"], words, json].concat());
            let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{words:?}");
        }
    }
}

fn help_has_examples_first() {
    let place = Place::new();
    for words in [&[][..], &["ls"], &["show"], &["dump"], &["trace"], &["gc"], &["rm"]] {
        let help = place.text(&[&["shm"], words, &["--help"]].concat());
        let example = help.find("\nExamples:\n  crosstie shm ").unwrap_or_else(|| panic!("{words:?}: {help}"));
        assert!(example < help.find("\nUsage: ").unwrap(), "{words:?}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{words:?}: {help}");
        assert!(help.contains("RUNTIME_DIRECTORY/crosstie") && help.contains("CROSSTIE_DIR_GROUP"), "{words:?}");
    }
}
