//! Segments of every released layout version, byte by byte: this build reads them as they were meant, and writes the same today.
//!
//! A file of `tests/golden` holds a segment as text: its length, then sixteen bytes a line, lines of zeroes left out. What differs from
//! machine to machine and from run to run (boot, id, times, user, process) is set to fixed values in it. `cargo test -p crosstie-shm --test golden
//! -- --ignored` writes the files anew, which is right for a new version and wrong for an old one.

mod golden_text;

use std::{fs, io::Write as _};

use crosstie_core::Wall;
use crosstie_shm::{
    Act, Expect, Keeper, Kind, Life, Participant, ParticipantState, Reserved, Segment, ShmSafe, Spec, State,
};
use golden_text::{CREATED, USER, file, fix_header, read, written};

#[derive(Clone, Copy, ShmSafe)]
#[repr(C)]
struct Account {
    cents: i64,
    version: u64,
}

#[derive(Clone, Copy, ShmSafe)]
#[repr(C)]
struct Ledger {
    accounts: [Account; 4],
    moved: u64,
    reserved: Reserved<56>,
}

/// A kind that no build has: what is in its data is nobody's to judge. Structures are in `golden_structures.rs`.
const KIND: Kind = Kind::Other(99);
const NAME: &str = "plain";

/// The first participant, and its first two acts.
const SLOT: usize = 4096;
const SLOT_PID: usize = SLOT + 8;
const SLOT_NAMESPACE: std::ops::Range<usize> = SLOT + 16..SLOT + 40;

/// A segment as every one of this build is, with a participant that has noted something and is gone without leaving.
fn bytes() -> Vec<u8> {
    let spec = Spec::new(KIND, Ledger::element()).participants(2).locks(1).elements(3).data(256);
    let segment = Segment::anonymous("golden", &spec, |segment| {
        let words = segment.data().records::<std::sync::atomic::AtomicU64>(0, 2)?;
        words[1].store(0x0807_0605_0403_0201, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    })
    .unwrap();
    let member = Participant::join(&segment, "a writer").unwrap();
    member.record(Act::Noted, 7, [1, u64::MAX]);
    let file = fs::File::from(std::os::fd::AsFd::as_fd(&segment).try_clone_to_owned().unwrap());
    let mut bytes = vec![0; usize::try_from(segment.header().len).unwrap()];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
    let events = segment.header().sections[3].offset.try_into().unwrap();
    fix(&mut bytes, events);
    bytes
}

/// Gives everything that differs from run to run a fixed value.
fn fix(bytes: &mut [u8], events: usize) {
    fix_header(bytes);
    bytes[SLOT_PID..SLOT_PID + 4].copy_from_slice(&4321u32.to_le_bytes());
    for (word, value) in bytes[SLOT_NAMESPACE].chunks_mut(8).zip([4_026_531_836, 99, CREATED + 1]) {
        word.copy_from_slice(&u64::to_le_bytes(value));
    }
    // Two events of 32 bytes: the time is first; the first one's detail begins with the process id.
    bytes[events..events + 8].copy_from_slice(&1_000u64.to_le_bytes());
    bytes[events + 16..events + 24].copy_from_slice(&4321u64.to_le_bytes());
    bytes[events + 32..events + 40].copy_from_slice(&2_000u64.to_le_bytes());
}

#[test]
#[ignore = "writes the golden files of this version anew"]
fn write() {
    fs::write(file(NAME), written(&bytes())).unwrap();
}

#[test]
fn this_build_writes_what_the_version_wrote() {
    if crosstie_sys::page_size() != 4096 {
        println!("NOT RUN: lengths are rounded up to pages of {} bytes here", crosstie_sys::page_size());
        return;
    }
    let golden = fs::read_to_string(file(NAME)).unwrap();
    assert_eq!(written(&bytes()), golden);
}

#[test]
fn this_build_reads_what_the_version_wrote() {
    let bytes = read(&fs::read_to_string(file(NAME)).unwrap());
    let memory = crosstie_sys::sealed_memory("golden", bytes.len() as u64).unwrap();
    fs::File::from(memory.try_clone().unwrap()).write_all(&bytes).unwrap();
    let expect = Expect::kind(KIND).element(Ledger::element()).elements(3).of_any_boot();
    let segment = Segment::from_descriptor(memory, &expect).unwrap();

    let header = segment.header();
    assert_eq!((header.layout, header.generation, segment.state()), ((1, 0), 1, State::Ready));
    assert_eq!((header.name.as_str(), header.participants, header.locks), ("golden", 2, 1));
    assert_eq!((header.created, header.uid), (Wall::from_unix_nanos(CREATED), USER));
    assert_eq!(header.boot.to_string(), "0102030405060708090a0b0c0d0e0f10");
    assert_eq!(header.id.to_string(), "1112131415161718191a1b1c1d1e1f20");
    let fields =
        "Ledger size=128 align=8\naccounts [Account{cents i64 @0 +8; version u64 @8 +8};4] @0 +64\nmoved u64 @64 +8\n";
    assert_eq!((header.element.size, header.element.align, header.element.schema.as_str()), (128, 8, fields));
    let parts: Vec<_> = header.sections.iter().map(|row| (row.kind, row.stride, row.offset, row.len)).collect();
    let expected = [
        (1, 256, 4096, 512),
        (2, 256, 8192, 256),
        (3, 128, 12_288, 256),
        (4, 8192, 16_384, 16_384),
        (5, 1, 32_768, 256),
    ];
    assert_eq!(parts, expected);
    assert_eq!(segment.data().copy(0, 16).unwrap(), [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);

    let keeper = Keeper::of(&segment).unwrap();
    let [info] = <[_; 1]>::try_from(keeper.participants().unwrap()).unwrap();
    assert_eq!((info.state, info.life), (ParticipantState::Live, Life::Dead));
    assert_eq!((info.pid, info.namespace, info.start), (4321, 4_026_531_836, 99));
    assert_eq!((info.name.as_str(), info.joined.unix_nanos(), info.acts), ("a writer", CREATED + 1, 2));
    let acts: Vec<_> =
        segment.events(1).iter().map(|e| (e.time.as_nanos(), e.act, e.object, e.sequence, e.detail)).collect();
    assert_eq!(acts, [(1000, Act::Joined, 0, 1, [4321, 1]), (2000, Act::Noted, 7, 2, [1, u64::MAX])]);
    // It can be recovered and used.
    assert_eq!(keeper.reap_dead().unwrap(), [info.id]);
    assert_eq!(Participant::join(&segment, "next").unwrap().id().generation, 2);
}

#[test]
fn control_a_golden_file_with_another_byte_is_told() {
    let golden = fs::read_to_string(file(NAME)).unwrap();
    let mut bytes = read(&golden);
    assert_eq!(written(&bytes), golden);
    bytes[SLOT_PID] ^= 1;
    assert_ne!(written(&bytes), golden);
}
