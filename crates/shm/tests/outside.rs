//! The value of a segment as somebody sees it who only looks: whole, whatever its owners do meanwhile.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crosstie_shm::{
    ByteRing, Directory, Expect, Latest, Mutex, Pool, Region, Ring, RwLock, SectionKind, Segment, SegmentName,
    Semaphore, ShmSafe, SizeClass, TxRegion, ValueSeen,
};
use tempfile::TempDir;

struct Place {
    _folder: TempDir,
    directory: Directory,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path().join("segments")).unwrap();
        Self { _folder: folder, directory }
    }

    /// The segment as it is opened to be looked at.
    fn look(&self, name: &str) -> Segment {
        Segment::open(&self.directory, &named(name), &Expect::any().looking_only()).unwrap()
    }
}

fn named(name: &str) -> SegmentName {
    name.parse().unwrap()
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn whole(values: &[u64], version: u64) -> ValueSeen {
    ValueSeen::Whole { bytes: words(values), version }
}

#[test]
fn what_is_seen_is_what_was_committed_last() {
    let place = Place::new();
    let region = Region::create(&place.directory, &named("region"), [1_u64, 2]).unwrap();
    let seen = place.look("region");
    assert_eq!(seen.value_seen().unwrap(), whole(&[1, 2], 0));
    let mut guard = region.try_lock().unwrap().into_guard();
    *guard = [3, 4];
    assert_eq!(seen.value_seen().unwrap(), whole(&[1, 2], 0), "nothing counts before its commit");
    guard.commit();
    assert_eq!(seen.value_seen().unwrap(), whole(&[3, 4], 1));

    let _mutex = Mutex::create(&place.directory, &named("mutex"), 7_u32).unwrap();
    assert_eq!(
        place.look("mutex").value_seen().unwrap(),
        ValueSeen::Whole { bytes: 7_u32.to_le_bytes().to_vec(), version: 0 }
    );
    let _rwlock = RwLock::create(&place.directory, &named("rwlock"), 8_u64).unwrap();
    assert_eq!(place.look("rwlock").value_seen().unwrap(), whole(&[8], 0));
    let _semaphore = Semaphore::create(&place.directory, &named("semaphore"), 3).unwrap();
    assert_eq!(place.look("semaphore").value_seen().unwrap(), ValueSeen::Nothing);
}

#[test]
fn the_newest_value_of_a_writer_is_seen() {
    let place = Place::new();
    let latest = Latest::<[u64; 2]>::create(&place.directory, &named("price"), 2).unwrap();
    let seen = place.look("price");
    assert_eq!(seen.value_seen().unwrap(), ValueSeen::Nothing, "nothing was written yet");
    let mut writer = latest.writer().unwrap();
    for number in 1..6 {
        writer.write(&[number, number + 10]).unwrap();
        assert_eq!(seen.value_seen().unwrap(), whole(&[number, number + 10], number));
    }
}

#[test]
fn what_is_changed_in_place_is_seen_while_nobody_has_its_lock() {
    let place = Place::new();
    let region = TxRegion::<[u64; 4]>::create(&place.directory, &named("large"), 1024, |_| ()).unwrap();
    let seen = place.look("large");
    assert!(matches!(seen.value_seen().unwrap(), ValueSeen::Whole { .. }));
    let guard = region.try_lock().unwrap().into_guard();
    assert_eq!(seen.value_seen().unwrap(), ValueSeen::Changing);
    drop(guard);
    assert!(matches!(seen.value_seen().unwrap(), ValueSeen::Whole { .. }));
}

/// Looks at a value whose words are always equal while it is written as fast as can be; true if every value that was seen was whole.
fn is_never_torn(seen: &Segment, write: impl FnMut(u64) + Send) -> bool {
    let (is_over, mut write, mut is_whole) = (AtomicBool::new(false), write, true);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                write(number);
            }
        });
        for _ in 0..20_000 {
            if let ValueSeen::Whole { bytes, .. } = seen.value_seen().unwrap() {
                is_whole &= bytes.chunks(8).all(|word| word == &bytes[..8]);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    is_whole
}

#[test]
fn a_value_that_is_written_without_pause_is_never_seen_torn() {
    let place = Place::new();
    let region = Region::create(&place.directory, &named("region"), [0_u64; 64]).unwrap();
    let is_whole = is_never_torn(&place.look("region"), |number| {
        let mut guard = region.try_lock().unwrap().into_guard();
        *guard = [number; 64];
        guard.commit();
    });
    assert!(is_whole);
    let latest = Latest::<[u64; 64]>::create(&place.directory, &named("latest"), 1).unwrap();
    let mut writer = latest.writer().unwrap();
    assert!(is_never_torn(&place.look("latest"), |number| writer.write(&[number; 64]).map(drop).unwrap()));
}

#[test]
fn control_bytes_that_are_copied_without_a_look_at_who_writes_are_torn() {
    let place = Place::new();
    let region = Region::create(&place.directory, &named("region"), [0_u64; 64]).unwrap();
    let (data, is_over) = (place.look("region").section(SectionKind::Data), AtomicBool::new(false));
    let is_torn = thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                let mut guard = region.try_lock().unwrap().into_guard();
                *guard = [number; 64];
                guard.commit();
            }
        });
        let begun = std::time::Instant::now();
        // The first of the two copies.
        let mut is_torn = false;
        while !is_torn && begun.elapsed() < std::time::Duration::from_secs(60) {
            let bytes = data.copy(64, 512).unwrap();
            is_torn = bytes.chunks(8).any(|word| word != &bytes[..8]);
        }
        is_over.store(true, Ordering::Relaxed);
        is_torn
    });
    assert!(is_torn);
}

#[derive(Clone, Copy, ShmSafe)]
#[repr(C)]
struct Pair {
    one: u64,
    two: u64,
}

#[test]
fn the_bytes_of_a_segment_say_what_they_are() {
    let place = Place::new();
    let region = Region::create(&place.directory, &named("pair"), Pair { one: 1, two: 2 }).unwrap();
    let seen = place.look("pair");
    let what = |kind, at| {
        let spans = seen.spans(kind, at, at + 1).unwrap();
        spans.into_iter().map(|span| span.what).collect::<Vec<_>>().join("; ")
    };
    assert!(what(SectionKind::Data, 0).starts_with("not used"));
    assert_eq!(what(SectionKind::Data, 64), "value, copy 1: current, commit 0");
    assert_eq!(what(SectionKind::Data, 80), "value, copy 2: to be written next");
    assert_eq!(what(SectionKind::Locks, 0), "lock 0: lock word (waiters, holder)");
    assert_eq!(what(SectionKind::Participants, 8), "pid");
    let mut guard = region.try_lock().unwrap().into_guard();
    guard.one = 3;
    guard.commit();
    assert_eq!(what(SectionKind::Data, 80), "value, copy 2: current, commit 1");
    let header = seen.header_bytes();
    let magic = &Segment::header_spans()[0];
    assert_eq!((magic.what.as_str(), &header[..8]), ("magic", &b"XTIE-SEG"[..]));
    is_told_once_and_within(&seen);
}

/// Nothing is told twice or beyond its part, wherever one looks.
fn is_told_once_and_within(segment: &Segment) {
    for kind in SectionKind::ALL {
        let len = segment.section(kind).len();
        let spans = segment.spans(kind, 0, u64::MAX).unwrap();
        assert!(spans.windows(2).all(|pair| pair[0].at + pair[0].len <= pair[1].at), "{segment:?} {kind}");
        assert!(spans.iter().all(|span| span.at + span.len <= len), "{segment:?} {kind}");
        assert!(kind != SectionKind::Data || !spans.is_empty(), "{segment:?}");
    }
}

#[test]
fn the_bytes_of_every_kind_are_told_once() {
    let place = Place::new();
    let _ring = Ring::<[u64; 3]>::create(&place.directory, &named("ring"), 8).unwrap();
    let _bytes = ByteRing::create(&place.directory, &named("bytes"), 4096).unwrap();
    let classes = [SizeClass { bytes: 100, buffers: 3 }, SizeClass { bytes: 5000, buffers: 2 }];
    let _pool = Pool::create(&place.directory, &named("pool"), &classes).unwrap();
    let _latest = Latest::<[u64; 5]>::create(&place.directory, &named("latest"), 3).unwrap();
    let _large = TxRegion::<[u64; 4]>::create(&place.directory, &named("large"), 1024, |_| ()).unwrap();
    let _rwlock = RwLock::create(&place.directory, &named("rwlock"), [1_u8; 3]).unwrap();
    let _semaphore = Semaphore::create(&place.directory, &named("semaphore"), 3).unwrap();
    for name in ["ring", "bytes", "pool", "latest", "large", "rwlock", "semaphore"] {
        is_told_once_and_within(&place.look(name));
    }
    assert_eq!(place.look("ring").value_seen().unwrap(), ValueSeen::Nothing);
}
