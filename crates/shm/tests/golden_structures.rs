//! What stands on segments, byte by byte: made, used and left by the release that wrote the files; read by this build, and written the same.
//!
//! The files are as those of `golden.rs` tells. `cargo test -p crosstie-shm --test golden_structures -- --ignored` writes them anew.

mod golden_text;

use std::fs;

use crosstie_core::Deadline;
use crosstie_shm::{
    ByteRing, Directory, Latest, Mutex, Pool, Region, Ring, RwLock, Segment, SegmentName, Semaphore, ShmSafe,
    SizeClass, TxRegion,
};
use golden_text::{file, fix_header, read, written};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ShmSafe)]
#[repr(C)]
struct Books {
    cents: [i64; 3],
    moved: u64,
}

const OPENED: Books = Books { cents: [100, 200, 300], moved: 0 };
const BOOKED: Books = Books { cents: [90, 210, 300], moved: 1 };

/// One structure: made, used and left; and looked at.
struct Golden {
    name: &'static str,
    make: fn(&Directory, &SegmentName),
    look: fn(&Directory, &SegmentName),
    /// Words of the data section, counted from 0, that depend on the machine or the time.
    of_machine: &'static [usize],
}

const ALL: [Golden; 9] = [
    Golden {
        name: "structure-region",
        make: |directory, name| {
            let region = Region::create(directory, name, OPENED).unwrap();
            let mut books = region.lock(Deadline::NEVER).unwrap().guard;
            *books = BOOKED;
            books.commit();
        },
        look: |directory, name| {
            let region = Region::<Books>::open(directory, name).unwrap();
            assert_eq!(region.snapshot_with_version(Deadline::NEVER).unwrap(), (BOOKED, 1));
            assert_eq!(*region.lock(Deadline::NEVER).unwrap().guard, BOOKED);
        },
        of_machine: &[],
    },
    Golden {
        name: "structure-mutex",
        make: |directory, name| {
            let mutex = Mutex::create(directory, name, OPENED).unwrap();
            let mut books = mutex.lock(Deadline::NEVER).unwrap().guard;
            *books = BOOKED;
            books.commit();
            // One that was begun and not committed leaves nothing.
            mutex.lock(Deadline::NEVER).unwrap().guard.moved = 99;
        },
        look: |directory, name| {
            let mutex = Mutex::<Books>::open(directory, name).unwrap();
            assert_eq!(*mutex.lock(Deadline::NEVER).unwrap().guard, BOOKED);
        },
        of_machine: &[],
    },
    Golden {
        name: "structure-rwlock",
        make: |directory, name| {
            let lock = RwLock::create(directory, name, OPENED).unwrap();
            let mut books = lock.write(Deadline::NEVER).unwrap().guard;
            *books = BOOKED;
            books.commit();
        },
        look: |directory, name| {
            let lock = RwLock::<Books>::open(directory, name).unwrap();
            assert_eq!(*lock.read(Deadline::NEVER).unwrap().guard, BOOKED);
        },
        of_machine: &[],
    },
    Golden {
        name: "structure-semaphore",
        make: |directory, name| drop(Semaphore::create(directory, name, 3).unwrap()),
        look: |directory, name| {
            let semaphore = Semaphore::open(directory, name).unwrap();
            assert_eq!((semaphore.permits(), semaphore.free()), (3, 3));
        },
        of_machine: &[],
    },
    Golden {
        name: "structure-tx_region",
        make: |directory, name| {
            let region = TxRegion::<Books>::create(directory, name, 1024, |books| *books = OPENED).unwrap();
            let mut books = region.lock(Deadline::NEVER).unwrap().guard;
            *books.edit(|books| &books.cents).unwrap() = BOOKED.cents;
            *books.edit(|books| &books.moved).unwrap() = BOOKED.moved;
            books.commit();
        },
        look: |directory, name| {
            let region = TxRegion::<Books>::open(directory, name).unwrap();
            assert_eq!(*region.lock(Deadline::NEVER).unwrap().guard, BOOKED);
        },
        of_machine: &[],
    },
    Golden {
        name: "structure-ring",
        make: |directory, name| {
            let ring = Ring::<u64>::create(directory, name, 4).unwrap();
            let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
            for message in [11, 22, 33] {
                sender.try_send(message).unwrap();
            }
            assert_eq!(receiver.try_receive().unwrap(), 11);
        },
        look: |directory, name| {
            let ring = Ring::<u64>::open(directory, name).unwrap();
            let mut receiver = ring.receiver().unwrap();
            assert_eq!((receiver.try_receive().unwrap(), receiver.try_receive().unwrap()), (22, 33));
        },
        of_machine: SEATS,
    },
    Golden {
        name: "structure-byte_ring",
        make: |directory, name| {
            let ring = ByteRing::create(directory, name, 256).unwrap();
            let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
            for frame in [&b"sleeper"[..], b"", b"rail"] {
                sender.try_send(frame).unwrap();
            }
            assert_eq!(*receiver.try_receive().unwrap(), *b"sleeper");
        },
        look: |directory, name| {
            let ring = ByteRing::open(directory, name).unwrap();
            let mut receiver = ring.receiver().unwrap();
            assert_eq!(*receiver.try_receive().unwrap(), *b"");
            assert_eq!(*receiver.try_receive().unwrap(), *b"rail");
        },
        of_machine: SEATS,
    },
    Golden {
        name: "structure-pool",
        make: |directory, name| {
            let pool = Pool::create(directory, name, &[SizeClass { bytes: 64, buffers: 3 }]).unwrap();
            let mut loan = pool.try_loan(64).unwrap().unwrap();
            loan[..7].copy_from_slice(b"sleeper");
            drop(loan);
        },
        look: |directory, name| {
            let pool = Pool::open(directory, name).unwrap();
            assert_eq!(pool.free(), 3);
            let loans: Vec<_> = (0..3).map(|_| pool.try_loan(64).unwrap().unwrap()).collect();
            assert_eq!(loans.iter().filter(|loan| loan.starts_with(b"sleeper")).count(), 1);
        },
        of_machine: &[],
    },
    Golden {
        name: "structure-latest",
        make: |directory, name| {
            let value = Latest::<Books>::create(directory, name, 2).unwrap();
            let mut writer = value.writer().unwrap();
            writer.write(&OPENED).unwrap();
            writer.write(&BOOKED).unwrap();
        },
        look: |directory, name| {
            let mut reader = Latest::<Books>::open(directory, name).unwrap().reader().unwrap();
            let found = reader.read().unwrap().unwrap();
            assert_eq!((*found, found.version()), (BOOKED, 2));
        },
        // When each of the two copies was written.
        of_machine: &[80, 96],
    },
];

/// Processors and fence of whoever sits at the two ends of a ring.
const SEATS: &[usize] = &[1, 2, 4, 5];

/// The boot id in a header.
const BOOT: std::ops::Range<usize> = 56..72;

fn name() -> SegmentName {
    "golden".parse().unwrap()
}

fn place() -> (tempfile::TempDir, Directory) {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::at(folder.path().join("segments")).unwrap();
    (folder, directory)
}

fn bytes_of(golden: &Golden) -> Vec<u8> {
    let (_folder, directory) = place();
    (golden.make)(&directory, &name());
    let segment = Segment::open(&directory, &name(), &crosstie_shm::Expect::any()).unwrap();
    let mut bytes = fs::read(directory.path().join("golden@1")).unwrap();
    let header = segment.header();
    let part = |kind| {
        let row = header.section(kind).unwrap();
        usize::try_from(row.offset).unwrap()..usize::try_from(row.offset + row.len).unwrap()
    };
    fix_header(&mut bytes);
    // What participants say of themselves, and when they did what, is held by `golden.rs`.
    for row in bytes[part(crosstie_shm::SectionKind::Participants)].chunks_mut(256) {
        row[8..12].fill(0);
        row[16..40].fill(0);
        // The name is that of the program, whose file's name changes with every build.
        row[64..128].fill(0);
        row[128..136].fill(0);
    }
    bytes[part(crosstie_shm::SectionKind::Events)].fill(0);
    // The membership counts how often somebody came or went.
    bytes[3976..3980].fill(0);
    for cell in bytes[part(crosstie_shm::SectionKind::Locks)].chunks_mut(256) {
        // Since when it was held; only known if somebody waited.
        cell[128..136].fill(0);
    }
    let data = part(crosstie_shm::SectionKind::Data).start;
    for word in golden.of_machine {
        bytes[data + word * 8..][..8].fill(0);
    }
    bytes
}

#[test]
#[ignore = "writes the golden files of this version anew"]
fn write() {
    for golden in &ALL {
        fs::write(file(golden.name), written(&bytes_of(golden))).unwrap();
    }
}

#[test]
fn this_build_writes_what_the_version_wrote() {
    if crosstie_sys::page_size() != 4096 {
        println!("NOT RUN: lengths are rounded up to pages of {} bytes here", crosstie_sys::page_size());
        return;
    }
    for golden in &ALL {
        let kept = fs::read_to_string(file(golden.name)).unwrap();
        let now = written(&bytes_of(golden));
        let differing = now.lines().zip(kept.lines()).find(|(now, kept)| now != kept);
        assert!(now == kept, "{} is written otherwise: {differing:?}", golden.name);
    }
}

#[test]
fn this_build_reads_what_the_version_wrote() {
    for golden in &ALL {
        let mut bytes = read(&fs::read_to_string(file(golden.name)).unwrap());
        // A segment of another boot is refused, and this one is of none.
        bytes[BOOT].copy_from_slice(&crosstie_sys::process::boot_id().unwrap());
        golden_text::mend(&mut bytes);
        let (_folder, directory) = place();
        let path = directory.path().join("golden@1");
        fs::write(&path, &bytes).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        (golden.look)(&directory, &name());
    }
}
