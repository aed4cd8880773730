//! What is not opened, and what the refusal says: what was expected and what came.

use std::{
    fs,
    io::Write,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::PathBuf,
};

use crosstie_shm::{Directory, Element, Error, Expect, Kind, Refusal, Reserved, Segment, SegmentName, ShmSafe, Spec};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: usize = 0;
const BYTE_ORDER: usize = 8;
const MAJOR: usize = 12;
const MINOR: usize = 14;
const LENGTH: usize = 16;
const GENERATION: usize = 24;
const KIND: usize = 28;
const MUST: usize = 32;
const MUST_TO_WRITE: usize = 40;
const MAY_IGNORE: usize = 48;
const BOOT: usize = 56;
const ALIGN: usize = 112;
const PARTICIPANTS: usize = 116;
const LOCKS: usize = 120;
const SCHEMA_LEN: usize = 140;
const SECTIONS: usize = 144;
const SECTION: usize = 32;
const CHECKSUM: usize = 3896;

/// A directory with one segment, `victim`, whose file can be changed.
struct Place {
    _folder: tempfile::TempDir,
    directory: Directory,
    whole: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path().join("segments")).unwrap();
        let spec = Spec::new(Kind::Region, u64::element()).participants(2).locks(1).data(64);
        Segment::create(&directory, &name(), &spec, |_| Ok(())).unwrap();
        let whole = fs::read(directory.path().join("victim@1")).unwrap();
        Self { _folder: folder, directory, whole }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("victim@1")
    }

    /// Opens the segment with other bytes in its file.
    fn open_as(&self, bytes: &[u8], expect: &Expect) -> Result<Segment, Error> {
        fs::File::create(self.file()).unwrap().write_all(bytes).unwrap();
        Segment::open(&self.directory, &name(), expect)
    }

    /// The refusal of the segment with `field` changed; the checksum is right.
    fn refusal(&self, at: usize, field: &[u8]) -> Refusal {
        refusal(self.open_as(&self.changed(at, field), &Expect::any()))
    }

    fn changed(&self, at: usize, field: &[u8]) -> Vec<u8> {
        let mut bytes = self.whole.clone();
        bytes[at..at + field.len()].copy_from_slice(field);
        let sum = xxh3_64(&bytes[..CHECKSUM]);
        bytes[CHECKSUM..CHECKSUM + 8].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

fn name() -> SegmentName {
    "victim".parse().unwrap()
}

fn refusal(outcome: Result<Segment, Error>) -> Refusal {
    match outcome {
        Err(Error::Refused { refusal, .. }) => refusal,
        Err(other) => panic!("expected a refusal, came {other}"),
        Ok(segment) => panic!("expected a refusal, came {segment:?}"),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn control_the_same_bytes_unchanged_are_opened() {
    let place = Place::new();
    place.open_as(&place.whole, &Expect::any()).unwrap();
    // What may be ignored is; a later minor version is read.
    place.open_as(&place.changed(MAY_IGNORE, &[0xff; 8]), &Expect::any()).unwrap();
    place.open_as(&place.changed(MINOR, &9u16.to_le_bytes()), &Expect::any()).unwrap();
}

#[test]
fn a_file_that_was_cut_is_refused() {
    let place = Place::new();
    for len in [0, 1, 100, 4095] {
        let refused = refusal(place.open_as(&place.whole[..len], &Expect::any()));
        assert_eq!(refused, Refusal::TooShort { expected: 4096, came: len as u64 });
    }
    let len = place.whole.len() as u64;
    let half = place.whole.len() / 8192 * 4096;
    let refused = refusal(place.open_as(&place.whole[..half], &Expect::any()));
    assert_eq!(refused, Refusal::Length { header: len, file: half as u64 });
    assert_eq!(
        refused.to_string(),
        format!("expected {len} bytes, as the header says, came a file of {half}; it was cut or is foreign")
    );
    let longer = [&place.whole[..], &[0; 4096]].concat();
    assert_eq!(refusal(place.open_as(&longer, &Expect::any())), Refusal::Length { header: len, file: len + 4096 });
    assert_eq!(place.refusal(LENGTH, &4096u64.to_le_bytes()), Refusal::Length { header: 4096, file: len });
}

#[test]
fn a_foreign_file_is_refused() {
    let place = Place::new();
    let refused = place.refusal(MAGIC, b"#!/bin/s");
    assert_eq!(refused, Refusal::Magic { came: *b"#!/bin/s" });
    assert_eq!(refused.to_string(), "expected a segment (`XTIE-SEG`), came a file that begins with `#!/bin/s`");
    let refused = place.refusal(BYTE_ORDER, &[1, 2, 3, 4]);
    assert_eq!(refused, Refusal::ByteOrder { expected: 0x0102_0304, came: 0x0403_0201 });
}

#[test]
fn another_major_version_is_refused_older_or_newer() {
    let place = Place::new();
    let newer = place.refusal(MAJOR, &2u16.to_le_bytes());
    assert_eq!(newer, Refusal::Version { ours: (1, 0), theirs: (2, 0) });
    assert!(newer.to_string().ends_with("came 2.0, which is newer; update this program"), "{newer}");
    let older = place.refusal(MAJOR, &0u16.to_le_bytes());
    assert!(older.to_string().ends_with("came 0.0, which is older; update the program that made it"), "{older}");
}

#[test]
fn a_single_wrong_bit_in_the_header_is_found() {
    let place = Place::new();
    for at in (GENERATION..CHECKSUM + 8).step_by(61) {
        let mut bytes = place.whole.clone();
        bytes[at] ^= 1;
        let refused = refusal(place.open_as(&bytes, &Expect::any()));
        let Refusal::Checksum { expected, came } = refused else { panic!("at {at}: {refused}") };
        assert_ne!(expected, came);
    }
}

#[test]
fn numbers_that_cannot_be_are_refused_even_with_a_right_checksum() {
    let place = Place::new();
    let section = |row: usize, field: usize| SECTIONS + row * SECTION + field;
    let (stride, offset, len) = (4, 8, 16);
    let far = (1u64 << 50).to_le_bytes();
    let cases: [(usize, &[u8], &str); 12] = [
        (GENERATION, &[0; 4], "a generation of at least 1, came 0"),
        (PARTICIPANTS, &[0; 4], "1 to 1023 participants, came 0"),
        (PARTICIPANTS, &[0, 4, 0, 0], "1 to 1023 participants, came 1024"),
        (PARTICIPANTS, &[200, 0, 0, 0], "200 rows of 256 bytes in `participants`, came 512 bytes in all"),
        (LOCKS, &[0xff; 4], "at most 65536 locks, came 4294967295"),
        (ALIGN, &[3, 0, 0, 0], "an alignment that is a power of two up to 4096, came 3"),
        (SCHEMA_LEN, &[0xff; 4], "a schema of at most 3176 bytes, came 4294967295"),
        (section(0, stride), &[8, 0, 0, 0], "rows of at least 256 bytes in `participants`, came 8"),
        (section(1, offset), &[1, 16, 0, 0], "`locks` on a page within"),
        (section(4, offset), &far, "`data` on a page within"),
        (section(4, len), &[0xff; 8], "`data` on a page within"),
        (section(2, 0), &[1, 0, 0, 0], "parts that are apart, came `participants` and another"),
    ];
    for (at, field, text) in cases {
        let refused = place.refusal(at, field);
        assert!(matches!(refused, Refusal::Numbers(_)) && refused.to_string().contains(text), "{text}: {refused}");
    }
    let without_data = place.refusal(section(4, 0), &[0, 0, 0, 0]);
    assert!(without_data.to_string().contains("a part `data`, came none"), "{without_data}");
    // One on top of another.
    let participants = place.whole[section(0, offset)..section(0, offset) + 8].to_vec();
    let overlapping = place.refusal(section(2, offset), &participants);
    assert!(overlapping.to_string().contains("parts that are apart"), "{overlapping}");
}

#[test]
fn a_later_build_may_add_parts_and_lengthen_rows() {
    let place = Place::new();
    // A part of a kind that this build does not know, without length so that it lies beside the others.
    let mut unknown = [0; SECTION];
    unknown[0] = 77;
    unknown[8..16].copy_from_slice(&4096u64.to_le_bytes());
    let segment = place.open_as(&place.changed(SECTIONS + 5 * SECTION, &unknown), &Expect::any()).unwrap();
    assert_eq!(segment.header().sections.len(), 6);
    // The one lock has a row of 512 bytes, and its part has room for it.
    let longer = place.changed(SECTIONS + SECTION + 4, &512u32.to_le_bytes());
    let mut with_room = longer.clone();
    with_room[SECTIONS + SECTION + 16..][..8].copy_from_slice(&4096u64.to_le_bytes());
    let sum = xxh3_64(&with_room[..CHECKSUM]);
    with_room[CHECKSUM..CHECKSUM + 8].copy_from_slice(&sum.to_le_bytes());
    assert!(place.open_as(&with_room, &Expect::any()).unwrap().lock(0).is_some());
    assert!(place.open_as(&longer, &Expect::any()).is_err(), "without the room it is refused");
}

#[test]
fn a_segment_of_another_boot_is_refused_until_it_is_swept() {
    let place = Place::new();
    let bytes = place.changed(BOOT, &[7; 16]);
    let refused = refusal(place.open_as(&bytes, &Expect::any()));
    let Refusal::OtherBoot { ours, theirs } = refused else { panic!("{refused}") };
    assert_eq!(theirs.to_string(), "07".repeat(16));
    assert_ne!(ours, theirs);
    place.open_as(&bytes, &Expect::any().of_any_boot().looking_only()).unwrap();
    let swept = crosstie_shm::sweep(&place.directory).unwrap();
    assert!(swept[0].outcome.is_removed());
    assert!(matches!(Segment::open(&place.directory, &name(), &Expect::any()), Err(Error::NotFound { .. })));
}

#[test]
fn unknown_features_are_refused_by_class() {
    let place = Place::new();
    let must = place.refusal(MUST, &5u64.to_le_bytes());
    assert!(must.to_string().contains("came 0x5: one must know 0x5 to use it"), "{must}");
    let bytes = place.changed(MUST_TO_WRITE, &2u64.to_le_bytes());
    let to_write = refusal(place.open_as(&bytes, &Expect::any()));
    assert!(to_write.to_string().contains("one must know 0x2 to write to it"), "{to_write}");
    place.open_as(&bytes, &Expect::any().looking_only()).unwrap();
    let bytes = place.changed(MUST, &5u64.to_le_bytes());
    assert!(place.open_as(&bytes, &Expect::any().looking_only()).is_err());
}

#[test]
fn another_kind_element_or_number_of_elements_is_refused() {
    let place = Place::new();
    let open = |expect: &Expect| refusal(place.open_as(&place.whole, expect));
    let kind = open(&Expect::kind(Kind::Ring));
    assert_eq!(kind, Refusal::Kind { expected: Kind::Ring, came: Kind::Region });
    assert_eq!(kind.to_string(), "expected the kind `ring`, came `region`; something else has this name: take another");
    let unknown = place.changed(KIND, &99u32.to_le_bytes());
    let unknown = refusal(place.open_as(&unknown, &Expect::kind(Kind::Region)));
    assert_eq!(
        unknown.to_string(),
        "expected the kind `region`, came `kind 99`; something else has this name: take another"
    );
    let size = open(&Expect::any().element(u32::element()));
    assert!(size.to_string().starts_with("expected elements of 4 bytes, alignment 4, hash "), "{size}");
    assert!(size.to_string().contains(", came 8 bytes, alignment 8, hash "), "{size}");
    assert!(size.to_string().contains("- u32 size=4 align=4 (this program)"), "{size}");
    let elements = open(&Expect::any().elements(3));
    assert_eq!(elements, Refusal::Elements { expected: 3, came: 1 });
}

#[test]
fn who_else_may_touch_a_file_matters() {
    let place = Place::new();
    let open = || Segment::open(&place.directory, &name(), &Expect::any());
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(refusal(open()), Refusal::Mode { expected: 0o600, came: 0o640 });
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o600)).unwrap();
    open().unwrap();

    // A link to the very file is no better than one to another's.
    let moved = place.directory.path().join("elsewhere");
    fs::rename(place.file(), &moved).unwrap();
    symlink(&moved, place.file()).unwrap();
    assert_eq!(refusal(open()).to_string(), "expected a file, came a symbolic link");
    fs::remove_file(place.file()).unwrap();
    fs::create_dir(place.file()).unwrap();
    assert!(open().is_err());
    fs::remove_dir(place.file()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.file(), 0o600.into()).unwrap();
    assert!(matches!(refusal(open()), Refusal::NotMemory { .. }));
}

#[test]
fn a_file_or_directory_of_somebody_else_is_refused() {
    let place = Place::new();
    let chown = |path: &PathBuf, uid: u32| rustix::fs::chown(path, Some(rustix::fs::Uid::from_raw(uid)), None);
    let me = rustix::process::geteuid().as_raw();
    if chown(&place.file(), me + 1).is_err() {
        println!("NOT RUN: giving a file away needs root");
        return;
    }
    let refused = refusal(Segment::open(&place.directory, &name(), &Expect::any()));
    assert_eq!(refused.to_string(), format!("expected a file of user {me}, came one of user {}", me + 1));
    let path = place.directory.path().to_path_buf();
    chown(&path, me + 1).unwrap();
    let refused = Directory::at(&path).unwrap_err();
    assert!(refused.to_string().contains(&format!("expected a file of user {me}")), "{refused}");
}

#[test]
fn a_directory_must_be_ours_alone_and_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segments");
    Directory::at(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    let refused = Directory::at(&link).unwrap_err().to_string();
    assert!(refused.contains("came a symbolic link or a file"), "{refused}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
    let refused = Directory::at(&path).unwrap_err().to_string();
    assert!(
        refused
            .contains("expected a directory for this alone, of mode 0700 at most, came 0770; name one in it instead"),
        "{refused}"
    );
    // A directory above that is not there is not made: it would have no owner to ask.
    let refused = Directory::at(folder.path().join("no/segments")).unwrap_err();
    assert!(matches!(refused, Error::NoDirectory { .. }), "{refused}");
}

#[test]
fn what_lies_in_the_place_of_a_file_is_named() {
    let place = Place::new();
    let path = |name: &str| place.directory.path().join(name);
    fs::create_dir(path("folder@1")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket@1")).unwrap();
    symlink(place.file(), path("link@1")).unwrap();
    for (name, expected) in [("folder", "a directory"), ("socket", "a socket"), ("link", "a symbolic link")] {
        for expect in [Expect::any(), Expect::any().looking_only()] {
            match refusal(Segment::open(&place.directory, &name.parse().unwrap(), &expect)) {
                Refusal::NotMemory { expected: "a file", came } => assert!(came.starts_with(expected), "{came}"),
                other => panic!("{name}: {other}"),
            }
        }
    }
}

#[test]
fn a_group_shares_its_directory_and_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared");
    let group = rustix::process::getegid().as_raw();
    let directory = Directory::of_group(&path, group).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o770);
    let spec = Spec::new(Kind::Locks, Element::bytes());
    Segment::create(&directory, &name(), &spec, |_| Ok(())).unwrap();
    let file = path.join("victim@1");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o660);
    Segment::open(&directory, &name(), &Expect::any()).unwrap();
    let refused = Directory::of_group(&path, group + 1).unwrap_err().to_string();
    assert!(
        refused.contains(&format!("expected a file of group {}, came one of group {group}", group + 1)),
        "{refused}"
    );
    assert!(Directory::at(&path).is_err(), "for one user alone it is too open");
}

#[test]
fn memory_that_can_be_cut_is_not_taken_from_a_stranger() {
    let bytes = Place::new().whole;
    let file = tempfile::tempfile().unwrap();
    (&file).write_all(&bytes).unwrap();
    let refused = refusal(Segment::from_descriptor(OwnedFd::from(file), &Expect::any()));
    assert_eq!(refused.to_string(), "expected memory sealed in its length, came something else");
    let sealed = crosstie_sys::sealed_memory("stranger", bytes.len() as u64).unwrap();
    fs::File::from(sealed.try_clone().unwrap()).write_all(&bytes).unwrap();
    Segment::from_descriptor(sealed, &Expect::any()).unwrap();
    let unsealed = rustix::fs::memfd_create("open", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    fs::File::from(unsealed.try_clone().unwrap()).write_all(&bytes).unwrap();
    let refused = refusal(Segment::from_descriptor(unsealed, &Expect::any()));
    assert_eq!(refused.to_string(), "expected memory sealed in its length, came memory that can be made shorter");
}

#[test]
fn a_poisoned_segment_is_told_and_swept() {
    let place = Place::new();
    let segment = Segment::open(&place.directory, &name(), &Expect::any()).unwrap();
    segment.poison();
    assert!(matches!(segment.check(), Err(Error::Poisoned { .. })));
    let refused = Segment::open(&place.directory, &name(), &Expect::any()).unwrap_err();
    assert!(matches!(refused, Error::Poisoned { .. }), "{refused}");
    assert!(crosstie_shm::sweep(&place.directory).unwrap()[0].outcome.is_removed());
}

#[test]
fn what_cannot_be_built_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let build = |name: &str, spec: Spec| {
        Segment::create(&place.directory, &name.parse().unwrap(), &spec, |_| Ok(())).unwrap_err()
    };
    let spec = || Spec::new(Kind::Region, u64::element());
    for (spec, text) in [
        (spec().participants(0), "1 to 1023 participants, came 0"),
        (spec().participants(1024), "came 1024"),
        (spec().locks(65_537), "at most 65536 locks"),
        (spec().data(1 << 41), "bytes of data"),
    ] {
        let refused = build("wrong", spec).to_string();
        assert!(refused.contains(text), "{refused}");
    }
    // More than the file system or the machine has: told with its size, and no file is left.
    let refused = build("huge", spec().data((1 << 39) - 4096));
    assert!(matches!(refused, Error::NoSpace { bytes, .. } if bytes > 1 << 38), "{refused}");
    let failed = Segment::create(&place.directory, &"failed".parse().unwrap(), &spec(), |segment| {
        segment.data().copy(0, 1).map(drop)
    });
    assert!(matches!(failed, Err(Error::Corrupt { .. })));
    assert_eq!(fs::read_dir(place.directory.path()).unwrap().count(), 1);
}

#[test]
fn fields_appended_in_reserved_space_stay_compatible() {
    #[derive(Clone, Copy, ShmSafe)]
    #[repr(C)]
    struct First {
        moved: u64,
        reserved: Reserved<24>,
    }

    mod later {
        use super::*;

        #[derive(Clone, Copy, ShmSafe)]
        #[repr(C)]
        pub(super) struct First {
            moved: u64,
            lost: u64,
            reserved: Reserved<16>,
        }

        #[derive(Clone, Copy, ShmSafe)]
        #[repr(C)]
        pub(super) struct Renamed {
            moved: u64,
            lost: u64,
            reserved: Reserved<16>,
        }
    }

    mod wrong {
        use super::*;

        #[derive(Clone, Copy, ShmSafe)]
        #[repr(C)]
        pub(super) struct First {
            lost: u64,
            moved: u64,
            reserved: Reserved<16>,
        }
    }

    let (old, new) = (First::element(), later::First::element());
    assert_ne!(old.hash, new.hash);
    assert!(old.is_compatible_with(&new) && new.is_compatible_with(&old));
    for other in [later::Renamed::element(), wrong::First::element(), u64::element()] {
        assert!(!old.is_compatible_with(&other) && !other.is_compatible_with(&old), "{}", other.schema);
    }
    let place = Place::new();
    let spec = Spec::new(Kind::Region, old).data(64);
    let name: SegmentName = "ledger".parse().unwrap();
    Segment::create(&place.directory, &name, &spec, |_| Ok(())).unwrap();
    Segment::open(&place.directory, &name, &Expect::kind(Kind::Region).element(new)).unwrap();
    let refused = Segment::open(&place.directory, &name, &Expect::any().element(wrong::First::element())).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("- lost u64 @0 +8 (this program)\n  - moved u64 @8 +8 (this program)"), "{text}");
    assert!(text.contains("+ moved u64 @0 +8 (the segment)"), "{text}");
    assert_eq!(u32_at(&place.whole, KIND), 1);
}
