//! Segments as an enemy might hand them over: a good one with some of its header changed and its checksum mended is refused, or everything in
//! it can be looked at. The model of a good header is twenty lines that know nothing of the code.

#![no_main]

use std::{fs::File, os::unix::fs::FileExt, sync::LazyLock};

use arbitrary::Arbitrary;
use crosstie_shm::{Element, Expect, Header, Keeper, Kind, Participant, SectionKind, Segment, Spec};
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::xxh3_64;

const CHECKED: usize = 3896;
const FIXED: usize = 3968;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Where in the segment, and what is put there.
    edits: Vec<(u16, u64)>,
    /// As above, within the numbers and the section table, where most of the meaning is.
    numbers: Vec<(u16, u32)>,
    /// Whether the checksum is made right.
    is_mended: bool,
    /// Pages that are cut off or added.
    more_pages: i8,
}

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let element = Element::new(8, 8, "u64 size=8 align=8\n0 u64 @0 +8\n");
    let spec = Spec::new(Kind::Region, element).participants(2).locks(2).data(100);
    let segment = Segment::anonymous("fuzz", &spec, |_| Ok(())).expect("there is memory");
    let mut bytes = vec![0; usize::try_from(segment.header().len).expect("small")];
    let file = File::from(std::os::fd::AsFd::as_fd(&segment).try_clone_to_owned().expect("there are descriptors"));
    file.read_exact_at(&mut bytes, 0).expect("it can be read");
    bytes
});

fuzz_target!(|input: Input| {
    let mut bytes = GOOD.clone();
    let places = input.edits.iter().map(|(at, value)| (usize::from(*at), value.to_le_bytes().to_vec()));
    let numbers =
        input.numbers.iter().map(|(at, value)| (24 + usize::from(*at) % 160 * 4, value.to_le_bytes().to_vec()));
    for (at, value) in places.chain(numbers) {
        let at = at % (bytes.len() - 8);
        bytes[at..at + value.len()].copy_from_slice(&value);
    }
    if input.is_mended {
        let sum = xxh3_64(&bytes[..CHECKED]);
        bytes[CHECKED..CHECKED + 8].copy_from_slice(&sum.to_le_bytes());
    }
    let pages = (bytes.len() / 4096).saturating_add_signed(isize::from(input.more_pages)).clamp(1, 64);
    bytes.resize(pages * 4096, 0);

    let decoded = Header::decode(&bytes[..FIXED], bytes.len() as u64);
    if let Ok(header) = &decoded {
        check(header, bytes.len() as u64);
    }
    let memory = crosstie_sys::sealed_memory("fuzz", bytes.len() as u64).expect("there is memory");
    File::from(memory.try_clone().expect("there are descriptors")).write_all_at(&bytes, 0).expect("it has the length");
    match Segment::from_descriptor(memory, &Expect::any().of_any_boot()) {
        Ok(segment) => {
            assert_eq!(Ok(segment.header()), decoded.as_ref());
            touch(&segment);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

/// What every header that is accepted keeps.
fn check(header: &Header, len: u64) {
    assert_eq!(header.len, len);
    let rows = |kind: SectionKind| match kind {
        SectionKind::Locks => (u64::from(header.locks), 256),
        SectionKind::Participants => (u64::from(header.participants), 256),
        SectionKind::Waiters => (u64::from(header.participants), 128),
        SectionKind::Events => (u64::from(header.participants), 8192),
        _ => (0, 1),
    };
    for kind in SectionKind::ALL {
        let found: Vec<_> = header.sections.iter().filter(|row| row.kind == kind.number()).collect();
        let [row] = found[..] else { panic!("{kind} is there {} times", found.len()) };
        let (count, least) = rows(kind);
        assert!(u64::from(row.stride) >= least && count * u64::from(row.stride) <= row.len, "{row:?}");
    }
    for row in &header.sections {
        assert!(row.offset >= 4096 && row.offset % 4096 == 0, "{row:?}");
        assert!(u128::from(row.offset) + u128::from(row.len) <= u128::from(len), "{row:?}");
    }
}

/// Everything that can be looked at.
fn touch(segment: &Segment) {
    for slot in 0..=segment.header().participants + 1 {
        let _ =
            (segment.participant(slot).map(|slot| slot.state()), segment.waits(slot).is_some(), segment.events(slot));
    }
    for lock in 0..=segment.header().locks {
        let _ = segment.lock(lock).map(|cell| cell.word.load(std::sync::atomic::Ordering::Relaxed));
    }
    for kind in SectionKind::ALL {
        let section = segment.section(kind);
        section.copy(0, section.len()).expect("a part can be read whole");
        section.copy(section.len(), 1).expect_err("and no byte more");
    }
    let keeper = Keeper::of(segment).expect("there are descriptors");
    let _ = keeper.all_slots().expect("locks can be asked for");
    if let Ok(member) = Participant::join(segment, "fuzz") {
        let _ = member.reap_dead();
    }
}
