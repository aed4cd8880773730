//! `crosstie shm` as a shell meets it, with processes that take part and are killed.
//!
//! Processes are forked without exec, so this runs in one thread and without the usual harness. A name as argument runs the tests
//! that contain it.

use std::{
    path::Path,
    process::{Command, ExitCode, Output},
    time::{Duration, Instant},
};

use crosstie::shm::{Act, Directory, Kind, Life, Participant, Segment, SegmentName, ShmSafe, Spec};
use crosstie_sys::trial::{Child, fork};
use serde_json::Value;

const TESTS: &[(&str, fn())] = &[
    ("every_command_shows_what_there_is", every_command_shows_what_there_is),
    ("trace_shows_the_last_acts_of_a_killed_process", trace_shows_the_last_acts_of_a_killed_process),
    ("gc_after_killing_everything_leaves_the_directory_empty", gc_after_killing_everything_leaves_the_directory_empty),
    ("control_gc_keeps_what_is_in_use", control_gc_keeps_what_is_in_use),
    ("rm_refuses_what_is_in_use_unless_forced", rm_refuses_what_is_in_use_unless_forced),
    ("what_is_wrong_has_its_exit_code", what_is_wrong_has_its_exit_code),
    ("help_has_examples", help_has_examples),
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

struct Place {
    _folder: tempfile::TempDir,
    directory: Directory,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path().join("segments")).unwrap();
        Self { _folder: folder, directory }
    }

    fn segment(&self, name: &str) -> Segment {
        let spec = Spec::new(Kind::Region, Ledger::element()).participants(4).locks(1).data(128);
        let name: SegmentName = name.parse().unwrap();
        let fill = |segment: &Segment| {
            let words = segment.data().records::<std::sync::atomic::AtomicU64>(0, 2)?;
            words[0].store(u64::from_le_bytes(*b"crosstie"), std::sync::atomic::Ordering::Relaxed);
            Ok(())
        };
        Segment::create(&self.directory, &name, &spec, fill).unwrap()
    }

    fn run(&self, words: &[&str]) -> Output {
        run(self.directory.path(), words)
    }

    /// Standard output of a command that succeeds.
    fn text(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, words: &[&str]) -> Vec<Value> {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        let lines: Vec<Value> = self.text(&words).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().all(|line| line["schema"] == 1), "{lines:?}");
        lines
    }
}

fn run(directory: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosstie"));
    command.arg("shm").args(words).env("CROSSTIE_DIR", directory).env_remove("CROSSTIE_DIR_GROUP");
    command.output().unwrap()
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
    assert_eq!(place.text(&["ls"]), "");
    let ledger = place.segment("ledger");
    let _me = Participant::join(&ledger, "the test").unwrap();

    let listed = place.text(&["ls"]);
    assert!(listed.lines().nth(1).unwrap().starts_with("ledger  1    region"), "{listed}");
    let listed = place.json(&["ls"]);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["alive"], &listed[0]["state"]),
        (&"ledger".into(), &1.into(), &"ready".into())
    );

    let shown = place.text(&["show", "ledger"]);
    assert!(shown.contains("cents [i64;4] @0 +32\nmoved u64 @32 +8\n"), "{shown}");
    assert!(shown.contains("participants (1 of 4 slots)") && shown.contains("the test"), "{shown}");
    let shown = place.json(&["show", "ledger@1"]);
    assert_eq!(shown[0]["participants"][0]["pid"], std::process::id());
    assert_eq!(shown[0]["element"]["fields"][1], "cents [i64;4] @0 +32");

    let dumped = place.text(&["dump", "ledger"]);
    assert!(dumped.starts_with("00000000  63 72 6f 73 73 74 69 65 00"), "{dumped}");
    assert!(dumped.contains("|crosstie........|") && dumped.contains("\n*\n"), "{dumped}");
    assert_eq!(place.run(&["dump", "ledger", "--raw", "--offset", "5", "--length", "3"]).stdout, b"tie");
    assert_eq!(place.json(&["dump", "ledger", "--length", "8"])[0]["hex"], "63726f7373746965");

    let traced = place.json(&["trace", "ledger"]);
    assert_eq!((&traced[0]["act"], &traced[0]["life"]), (&"joined".into(), &"alive".into()));
}

fn trace_shows_the_last_acts_of_a_killed_process() {
    let place = Place::new();
    let ledger = place.segment("ledger");
    let mut child = member(&ledger, "victim", 300);
    child.kill().unwrap();
    let traced = place.json(&["trace", "ledger", "--slot", "1"]);
    assert_eq!(traced.len(), 256);
    for (line, number) in traced.iter().zip(300 - 256..) {
        assert_eq!((&line["name"], &line["life"], &line["object"]), (&"victim".into(), &"dead".into(), &7.into()));
        assert_eq!(line["detail"][0], number);
    }
    let text = place.text(&["trace", "ledger", "--slot", "1", "--last", "1"]);
    assert!(text.lines().nth(1).unwrap().ends_with("299 0") && text.lines().count() == 2, "{text}");
    // Whoever was in a slot before is not taken for who is in it now.
    let _next = Participant::join(&ledger, "next").unwrap();
    let traced = place.json(&["trace", "ledger", "--slot", "1"]);
    let (last, before) = traced.split_last().unwrap();
    assert_eq!((&last["act"], &last["name"], &last["life"]), (&"joined".into(), &"next".into(), &"alive".into()));
    assert!(before.iter().all(|line| line["name"] == "" && line["life"] == "gone"), "{before:?}");
    assert_eq!(place.text(&["trace", "ledger", "--slot", "4"]), "");
}

fn gc_after_killing_everything_leaves_the_directory_empty() {
    let place = Place::new();
    let (one, two) = (place.segment("one"), place.segment("two"));
    let mut children = [member(&one, "a", 0), member(&one, "b", 0), member(&two, "c", 0)];
    for child in &mut children {
        child.kill().unwrap();
    }
    let swept = place.json(&["gc"]);
    assert_eq!(swept.len(), 2);
    assert!(swept.iter().all(|line| line["outcome"] == "removed"), "{swept:?}");
    assert_eq!(swept[0]["recovered_slots"], serde_json::json!([1, 2]));
    assert_eq!(std::fs::read_dir(place.directory.path()).unwrap().count(), 0);
    assert_eq!(place.text(&["gc"]), "");
}

fn control_gc_keeps_what_is_in_use() {
    let place = Place::new();
    let one = place.segment("one");
    let _alive = member(&one, "alive", 0);
    assert_eq!(place.text(&["gc"]), "kept one@1: 1 live participants\n");
    assert_eq!(std::fs::read_dir(place.directory.path()).unwrap().count(), 1);
}

fn rm_refuses_what_is_in_use_unless_forced() {
    let place = Place::new();
    let one = place.segment("one");
    let me = Participant::join(&one, "me").unwrap();
    let refused = place.run(&["rm", "one"]);
    assert_eq!(refused.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("in use by 1 live participants"));
    me.check().unwrap();
    assert_eq!(place.text(&["rm", "one", "--force"]), "removed one\n");
    assert!(me.check().unwrap_err().to_string().contains("was removed"));
    assert_eq!(me.life(me.id()).unwrap(), Life::Alive);
    assert_eq!(std::fs::read_dir(place.directory.path()).unwrap().count(), 0);
}

fn what_is_wrong_has_its_exit_code() {
    let place = Place::new();
    let told = |words: &[&str], code: i32, text: &str| {
        let output = place.run(words);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {stderr}");
        assert!(stderr.contains(text), "{words:?}: {stderr}");
    };
    told(&["show", "nobody"], 1, "expected a segment `nobody`, found none");
    told(&["show", "nobody@2"], 1, "expected a segment `nobody@2`, found none");
    told(&["show", "No"], 2, "'N' is not allowed");
    told(&["show", "one@x"], 2, "expected the number of a generation");
    told(&["rm", "nobody"], 1, "found none");
    told(&["frob"], 2, "unrecognized subcommand");
    place.segment("one");
    told(&["dump", "one", "--offset", "100", "--length", "29"], 2, "expected a place within the 128 bytes of `data`");
    told(&["dump", "one", "--raw", "--json"], 2, "cannot be used with");
    let json = place.run(&["show", "nobody", "--json"]);
    let error: Value = serde_json::from_slice(&json.stderr).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_code"]), (&"not_found".into(), &1.into()));

    // A file that is no segment takes a name, and is told by every command.
    std::fs::write(place.directory.path().join("bad@1"), vec![b'x'; 8192]).unwrap();
    std::fs::set_permissions(place.directory.path().join("bad@1"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    told(&["show", "bad"], 1, "expected a segment (`XTIE-SEG`), came a file that begins with `xxxxxxxx`");
    told(&["gc"], 1, "1 files are no segments");
    assert!(place.text(&["ls"]).contains("is refused"));
    told(&["rm", "bad"], 1, "is refused");
    assert_eq!(place.text(&["rm", "bad", "--force"]), "removed bad\n");

    // A directory that others may change is not used.
    std::fs::set_permissions(place.directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    told(&["ls"], 4, "of mode 0700 at most, came 0755; name one in it");
}

fn help_has_examples() {
    let place = Place::new();
    for words in [&["--help"][..], &["dump", "--help"], &["trace", "--help"], &["rm", "--help"]] {
        assert!(place.text(words).contains("Examples:\n  crosstie shm "), "{words:?}");
    }
}
