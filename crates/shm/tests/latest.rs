//! One value between a writer and readers.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crosstie_core::Deadline;
use crosstie_shm::{Error, Latest, ReceiveError, deadline_after};

fn soon() -> Deadline {
    deadline_after(Duration::from_secs(60))
}

#[test]
fn the_newest_value_is_read_and_an_older_snapshot_stays() {
    let value = Latest::<[u64; 40]>::anonymous(3).unwrap();
    let (mut writer, mut one, mut two) = (value.writer().unwrap(), value.reader().unwrap(), value.reader().unwrap());
    assert!(one.read().unwrap().is_none());
    assert_eq!(writer.write(&[1; 40]).unwrap(), 1);
    let old = one.read().unwrap().unwrap();
    for number in 2..20 {
        assert_eq!(writer.write(&[number; 40]).unwrap(), number);
        assert_eq!(two.load().unwrap(), Some([number; 40]));
    }
    assert_eq!((*old, old.version()), ([1; 40], 1), "it was not written over");
    assert!(old.age() < Duration::from_secs(60));
    drop(old);
    assert_eq!(one.read().unwrap().unwrap().version(), 19);
}

#[test]
fn there_is_one_writer_and_as_many_readers_as_were_said() {
    let value = Latest::<u64>::anonymous(2).unwrap();
    let writer = value.writer().unwrap();
    assert!(matches!(value.writer(), Err(Error::SeatTaken { seat: "writer", .. })));
    drop(writer);
    let _writer = value.writer().unwrap();
    let readers = (value.reader().unwrap(), value.reader().unwrap());
    assert!(matches!(value.reader(), Err(Error::NoPlaceToRead { readers: 2, .. })));
    drop(readers);
    value.reader().unwrap();
    assert!(matches!(Latest::<u64>::spec(0), Err(Error::Spec { .. })));
    assert!(matches!(Latest::<u64>::spec(255), Err(Error::Spec { .. })));
}

#[test]
fn readers_see_whole_values_that_never_go_back() {
    let value = Latest::<[u64; 64]>::anonymous(4).unwrap();
    let mut writer = value.writer().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for in_place in [true, false] {
            let (mut reader, is_over) = (value.reader().unwrap(), &is_over);
            scope.spawn(move || {
                let mut last = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let found =
                        if in_place { reader.read().unwrap().map(|found| *found) } else { reader.load().unwrap() };
                    let Some(found) = found else { continue };
                    assert!(found.iter().all(|word| *word == found[0]), "torn: {found:?}");
                    assert!(found[0] >= last);
                    last = found[0];
                }
            });
        }
        for number in 1..100_000 {
            writer.write(&[number; 64]).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn whoever_waits_gets_a_newer_version() {
    let value = Latest::<u64>::anonymous(2).unwrap();
    let mut writer = value.writer().unwrap();
    let mut reader = value.reader().unwrap();
    assert!(matches!(reader.wait_newer(0, deadline_after(Duration::from_millis(1))), Err(ReceiveError::TimedOut)));
    thread::scope(|scope| {
        let waits = scope.spawn(move || {
            let mut version = 0;
            while version < 100 {
                let newer = reader.wait_newer(version, soon()).unwrap();
                assert!(newer > version);
                version = newer;
            }
            reader
        });
        for number in 1..=100 {
            writer.write(&number).unwrap();
        }
        let mut reader = waits.join().unwrap();
        drop(writer);
        assert!(matches!(reader.wait_newer(100, soon()), Err(ReceiveError::Closed)));
        assert_eq!(reader.load().unwrap(), Some(100), "the value outlives its writer");
    });
}

#[test]
fn random_words_in_a_value_are_errors_and_no_more() {
    let mut chance = fastrand::Rng::with_seed(5);
    let mut damaged = 0;
    for _ in 0..2000 {
        let value = Latest::<u64>::anonymous(2).unwrap();
        let (mut writer, mut reader) = (value.writer().unwrap(), value.reader().unwrap());
        for number in 0..20 {
            if number == 5 {
                let data = value.segment().data();
                let words = data.records::<AtomicU64>(0, usize::try_from(data.len() / 8).unwrap()).unwrap();
                let interesting = [0, 1, 0xffff, 0x1_0004, 0x1_0005, u64::MAX, u64::MAX << 16, chance.u64(..)];
                // The latest, or what a reader reads.
                let place = *chance.choice(&[16usize, 49, 65]).unwrap();
                words[place].store(*chance.choice(&interesting).unwrap(), Ordering::Relaxed);
            }
            damaged += u32::from(writer.write(&number).is_err());
            damaged += u32::from(reader.load().is_err());
        }
    }
    assert!(damaged > 100, "{damaged}");
}
