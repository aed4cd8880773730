//! Segments as a user meets them: made, opened, joined, left. What the derive writes is fit for crates that forbid unsafe code.
#![forbid(unsafe_code)]

use std::{
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use crosstie_shm::{
    Act, Directory, Element, Error, Expect, Kind, Life, Mutex, Participant, Refusal, Region, Reserved, Ring,
    SectionKind, Segment, SegmentName, Semaphore, ShmSafe, Spec, State, deadline_after,
};

#[derive(Clone, Copy, ShmSafe)]
#[repr(C)]
struct Account {
    cents: i64,
    version: u64,
}

#[derive(Clone, Copy, ShmSafe)]
#[repr(C)]
struct Ledger {
    accounts: [Account; 128],
    moved: u64,
    reserved: Reserved<56>,
}

fn name(text: &str) -> SegmentName {
    text.parse().unwrap()
}

fn spec() -> Spec {
    Spec::new(Kind::Region, Ledger::element()).locks(2).data(8192)
}

fn place() -> (tempfile::TempDir, Directory) {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::at(folder.path().join("segments")).unwrap();
    (folder, directory)
}

#[test]
fn a_segment_is_made_once_and_opened_by_name() {
    let (_folder, directory) = place();
    let made = Segment::create(&directory, &name("ledger"), &spec(), |segment| {
        segment.data().record::<std::sync::atomic::AtomicU64>(8)?.store(7, Relaxed);
        Ok(())
    })
    .unwrap();
    let again = Segment::create(&directory, &name("ledger"), &spec(), |_| Ok(())).unwrap_err();
    assert!(matches!(again, Error::AlreadyExists { generation: 1, .. }), "{again}");

    let opened = Segment::open(&directory, &name("ledger"), &spec().expectation()).unwrap();
    assert_eq!(opened.header(), made.header());
    assert_eq!(opened.state(), State::Ready);
    let word = opened.data().record::<std::sync::atomic::AtomicU64>(8).unwrap();
    assert_eq!(word.load(Relaxed), 7);
    let schema = "Ledger size=2112 align=8\naccounts [Account{cents i64 @0 +8; version u64 @8 +8};128] @0 +2048\nmoved u64 @2048 +8\n";
    assert_eq!(opened.header().element.schema, schema);
    let other = Segment::open(&directory, &name("other"), &Expect::any()).unwrap_err();
    assert!(matches!(other, Error::NotFound { .. }), "{other}");
}

#[test]
fn what_is_taken_from_a_part_lies_within_it() {
    let segment = Segment::anonymous("parts", &spec(), |_| Ok(())).unwrap();
    let data = segment.data();
    assert!(data.bytes(8192 - 8, 8, 8).is_ok());
    for (at, len, align) in [(8192, 8, 8), (u64::MAX, 1, 1), (0, u64::MAX, 1), (4, 8, 8)] {
        assert!(matches!(data.bytes(at, len, align), Err(Error::Corrupt { .. })), "{at} {len} {align}");
    }
    assert!(segment.lock(1).is_some() && segment.lock(2).is_none());
    assert!(segment.participant(32).is_some() && segment.participant(33).is_none() && segment.participant(0).is_none());
    assert_eq!(segment.section(SectionKind::Locks).len(), 512);
}

#[test]
fn an_anonymous_segment_is_handed_over_a_socket() {
    let (here, there) = UnixStream::pair().unwrap();
    let made = Segment::anonymous("handed", &spec(), |_| Ok(())).unwrap();
    made.send(&here).unwrap();
    let came = Segment::receive(&there, &spec().expectation()).unwrap();
    assert_eq!(came.header().id, made.header().id);
    let (one, two) = (Participant::join(&made, "one").unwrap(), Participant::join(&came, "two").unwrap());
    assert_eq!(one.life(two.id()).unwrap(), Life::Alive);
    let gone = two.id();
    drop(two);
    assert_eq!(one.life(gone).unwrap(), Life::Gone);
}

#[test]
fn a_participant_has_a_slot_until_it_leaves() {
    let segment = Segment::anonymous("slots", &spec().participants(2), |_| Ok(())).unwrap();
    let one = Participant::join(&segment, "one").unwrap();
    let two = Participant::join(&segment, "two").unwrap();
    assert_eq!((one.id().slot, two.id().slot), (1, 2));
    let full = Participant::join(&segment, "three").unwrap_err();
    assert!(matches!(full, Error::Full { slots: 2, .. }), "{full}");
    let before = one.id();
    drop(one);
    let three = Participant::join(&segment, "three").unwrap();
    assert_eq!(three.id().slot, 1);
    assert!(three.id().generation > before.generation);
    assert_eq!(two.life(before).unwrap(), Life::Gone);
    assert_eq!(two.life(three.id()).unwrap(), Life::Alive);
    let acts: Vec<_> = segment.events(1).iter().map(|event| event.act).collect();
    assert_eq!(acts, [Act::Joined, Act::Left, Act::Joined]);
}

#[test]
fn another_layout_is_refused_and_shown() {
    #[derive(Clone, Copy, ShmSafe)]
    #[repr(C)]
    #[allow(dead_code)]
    struct Other {
        cents: u32,
        moved: u32,
    }
    let (_folder, directory) = place();
    Segment::create(&directory, &name("ledger"), &spec(), |_| Ok(())).unwrap();
    let expect = Expect::kind(Kind::Region).element(Other::element());
    let refused = Segment::open(&directory, &name("ledger"), &expect).unwrap_err();
    assert!(matches!(&refused, Error::Refused { refusal: Refusal::Layout { .. }, .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("- cents u32 @0 +4 (this program)"), "{text}");
    assert!(text.contains("+ moved u64 @2048 +8 (the segment)"), "{text}");
    let element = Element::bytes();
    let untyped = Segment::open(&directory, &name("ledger"), &Expect::any().element(element)).unwrap_err();
    assert!(untyped.to_string().contains("no schema"), "{untyped}");
}

#[test]
fn a_thread_that_ends_leaves_its_process_in_the_segment() {
    let segment = Segment::anonymous("threads", &spec(), |_| Ok(())).unwrap();
    let me = Participant::join(&segment, "me").unwrap();
    let watcher = Participant::join(&segment, "watcher").unwrap();
    let clone = me.clone();
    thread::spawn(move || clone.check().unwrap()).join().unwrap();
    assert_eq!(watcher.life(me.id()).unwrap(), Life::Alive);
    assert_eq!(watcher.reap_dead().unwrap(), []);
    // The last handle is what counts, in whatever thread it is dropped.
    let gone = me.id();
    thread::spawn(move || drop(me)).join().unwrap();
    assert_eq!(watcher.life(gone).unwrap(), Life::Gone);
}

#[test]
fn of_several_who_enter_at_once_one_makes_the_segment_while_another_removes_it() {
    let (_folder, directory) = place();
    let spec = spec();
    let enter = |who: &str| {
        let filled = |segment: &Segment| {
            segment.data().record::<std::sync::atomic::AtomicU64>(0)?.store(42, Relaxed);
            Ok(())
        };
        Participant::enter(&directory, &name("ledger"), &spec.expectation(), &spec, filled, who).unwrap()
    };
    thread::scope(|scope| {
        let members: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let member = enter("member");
                        // Whoever is in cannot be swept away.
                        member.check().unwrap();
                        let word = member.segment().data().record::<std::sync::atomic::AtomicU64>(0).unwrap();
                        assert_eq!(word.load(Relaxed), 42);
                        member.check().unwrap();
                    }
                })
            })
            .collect();
        while !members.iter().all(|member| member.is_finished()) {
            for swept in crosstie_shm::sweep(&directory).unwrap() {
                assert!(!matches!(swept.outcome, crosstie_shm::Outcome::Refused(_)), "{swept:?}");
            }
        }
    });
    crosstie_shm::sweep(&directory).unwrap();
    assert_eq!(directory.list().unwrap(), []);
}

#[test]
fn a_lock_that_is_opened_while_the_unused_are_removed_is_there() {
    let (_folder, directory) = place();
    thread::scope(|scope| {
        let users: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let mutex = Mutex::open_or_create(&directory, &name("lock"), 0_u64).unwrap();
                        let semaphore = Semaphore::open_or_create(&directory, &name("permits"), 1).unwrap();
                        let later = || deadline_after(Duration::from_secs(60));
                        drop(mutex.lock(later()).unwrap());
                        drop(semaphore.acquire(later()).unwrap());
                    }
                })
            })
            .collect();
        while !users.iter().all(|user| user.is_finished()) {
            crosstie_shm::sweep(&directory).unwrap();
        }
    });
}

/// It is joined before it has a name, so there is no moment at which nobody takes part.
#[test]
fn what_is_made_while_the_unused_are_removed_is_there() {
    let (_folder, directory) = place();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                crosstie_shm::sweep(&directory).unwrap();
            }
        });
        let made = std::panic::catch_unwind(|| {
            for number in 0..300_u64 {
                // Each time another name: nobody else has made it.
                let called = |what: &str| name(&format!("{what}-{number}"));
                let region = Region::create(&directory, &called("region"), number).unwrap();
                assert_eq!(*region.try_lock().unwrap().guard, number);
                let ring = Ring::<u64>::create(&directory, &called("ring"), 4).unwrap();
                ring.sender().unwrap().try_send(number).unwrap();
            }
        });
        is_over.store(true, Relaxed);
        made.unwrap();
    });
}

/// The control: made first and joined then, it is lost to who sweeps in between.
#[test]
fn control_what_is_made_and_joined_in_two_steps_is_swept_away() {
    let (_folder, directory) = place();
    let spec = Ring::<u64>::spec(4).unwrap();
    let made = Segment::create(&directory, &name("ring"), &spec, |_| Ok(())).unwrap();
    crosstie_shm::sweep(&directory).unwrap();
    assert!(matches!(Ring::<u64>::of(&made), Err(Error::Removed { .. })));
    // Whoever opens it by name hears that there is none.
    assert!(matches!(Ring::<u64>::open(&directory, &name("ring")), Err(Error::NotFound { .. })));
}
