//! Models of a pool under loom and shuttle: two who loan, one to whom buffers are given, and death as a step.

use super::{
    cells::{Cell, Refused, withdraw},
    known::Known,
};
use crate::{
    layout::ParticipantId,
    models::{Arc, explore, explore_points, thread},
    steps,
    sync::{AtomicU64, Ordering::*, yield_now},
};

const ONE: ParticipantId = ParticipantId { slot: 1, generation: 1 };
const TWO: ParticipantId = ParticipantId { slot: 2, generation: 1 };
const THREE: ParticipantId = ParticipantId { slot: 3, generation: 1 };

/// One buffer of two words, and a place for tokens on their way: generation of the loan, or 0.
#[derive(Default)]
struct Memory {
    cells: [Cell; 1],
    words: [AtomicU64; 2],
    token: AtomicU64,
    /// 0 while participant two is there, 1 when its slot is free.
    is_gone: AtomicU64,
}

impl Memory {
    fn write(&self, value: u64) {
        for word in &self.words {
            word.store(value, Relaxed);
            steps::step!("model.half_written");
        }
    }

    fn read(&self) -> u64 {
        let value = self.words[0].load(Relaxed);
        assert_eq!(self.words[1].load(Relaxed), value, "the buffer is torn");
        value
    }
}

#[test]
fn a_buffer_has_one_holder_until_it_is_given() {
    explore(|| {
        let memory = Arc::new(Memory::default());
        let theirs = memory.clone();
        let work = |memory: &Memory, me: ParticipantId| {
            for _ in 0..2 {
                if memory.cells[0].take(me).is_some() {
                    memory.write(u64::from(me.slot));
                    assert_eq!(memory.read(), u64::from(me.slot), "somebody else wrote it");
                    memory.cells[0].give_back(me.slot);
                }
            }
        };
        let other = thread::spawn(move || work(&theirs, TWO));
        work(&memory, ONE);
        other.join().unwrap();
        assert!(memory.cells[0].is_free());
    });
}

/// The author dies at every point; the receiver reads what was given, or finds out and settles. Then the buffer is free.
#[test]
fn an_author_that_dies_leaves_nothing_behind() {
    explore_points(8, |points| {
        let memory = Arc::new(Memory::default());
        let theirs = memory.clone();
        let author = thread::spawn(move || {
            steps::die_at(points, || {
                let cell = &theirs.cells[0];
                let generation = cell.take(ONE).expect("it is free");
                theirs.write(7);
                cell.give(TWO, || true).expect("two is there");
                cell.give_back(ONE.slot);
                theirs.token.store(u64::from(generation), Release);
            });
            // Somebody reaps it.
            withdraw(&theirs.cells, ONE.slot);
        });
        let mut token = memory.token.load(Acquire);
        if token == 0 {
            // The author is dead, and what it sent has come.
            author.join().unwrap();
            token = memory.token.load(Acquire);
        }
        if token == 0 {
            if memory.cells[0].is_by(ONE) && memory.cells[0].is_held_by(TWO.slot) {
                memory.cells[0].give_back(TWO.slot);
            }
        } else {
            let generation = u32::try_from(token).expect("it was one");
            assert!(memory.cells[0].is_held(TWO, generation), "what was given is held");
            assert_eq!(memory.read(), 7);
            memory.cells[0].give_back(TWO.slot);
            while memory.cells[0].is_held_by(ONE.slot) {
                yield_now();
            }
        }
        assert!(memory.cells[0].is_free());
    });
}

/// The receiver is reaped while a buffer is given to it: its bit does not outlive it.
#[test]
fn a_receiver_that_is_gone_is_given_nothing() {
    explore(|| {
        let memory = Arc::new(Memory::default());
        let theirs = memory.clone();
        let reaper = thread::spawn(move || {
            // As when a participant is reaped, and as when the next one begins.
            withdraw(&theirs.cells, TWO.slot);
            theirs.is_gone.store(1, Release);
            withdraw(&theirs.cells, TWO.slot);
        });
        let cell = &memory.cells[0];
        cell.take(ONE).expect("it is free");
        let given = cell.give(TWO, || memory.is_gone.load(Acquire) == 0);
        cell.give_back(ONE.slot);
        reaper.join().unwrap();
        assert!(matches!(given, Ok(()) | Err(Refused::Gone)));
        assert!(cell.is_free(), "a bit is left of a participant that is gone");
    });
}

/// One is dead, and what it gave to two was never told of. A thread of two settles that while another accepts the token, which came late after all;
/// and three loans the buffer as soon as it can.
#[test]
fn settling_returns_nothing_that_is_being_accepted() {
    explore(|| {
        let memory = Arc::new((Memory::default(), Known::default()));
        let cell = &memory.0.cells[0];
        let generation = cell.take(ONE).expect("it is free");
        memory.0.write(7);
        cell.give(TWO, || true).expect("two is there");
        withdraw(&memory.0.cells, ONE.slot);

        let settling = memory.clone();
        let settler = thread::spawn(move || settling.1.settle(&settling.0.cells[0], ONE, TWO.slot));
        let loaning = memory.clone();
        let third = thread::spawn(move || {
            if loaning.0.cells[0].take(THREE).is_some() {
                loaning.0.write(9);
                loaning.0.cells[0].give_back(THREE.slot);
            }
        });
        let accepted = memory.1.accept(cell, TWO, generation);
        if accepted == Some(true) {
            assert_eq!((memory.0.read(), memory.0.read()), (7, 7));
            memory.1.give_back(cell, TWO.slot);
        }
        let settled = settler.join().unwrap();
        third.join().unwrap();
        assert_ne!(accepted == Some(true), settled, "one of the two has returned it");
        assert!(cell.is_free());
    });
}

/// One is dead and has nothing here any more. A thread of two settles with it while three loans the same buffer and gives it to two.
#[test]
fn settling_returns_nothing_of_the_living() {
    explore(|| {
        let memory = Arc::new((Memory::default(), Known::default()));
        let cell = &memory.0.cells[0];
        cell.take(ONE).expect("it is free");
        withdraw(&memory.0.cells, ONE.slot);

        let settling = memory.clone();
        let settler = thread::spawn(move || settling.1.settle(&settling.0.cells[0], ONE, TWO.slot));
        let generation = cell.take(THREE).expect("it is free");
        memory.0.write(9);
        cell.give(TWO, || true).expect("two is there");
        cell.give_back(THREE.slot);
        assert!(!settler.join().unwrap(), "that was given by three");
        assert_eq!(memory.1.accept(cell, TWO, generation), Some(true));
        assert_eq!(memory.0.read(), 9);
        memory.1.give_back(cell, TWO.slot);
        assert!(cell.is_free());
    });
}

/// The same while two itself loans the buffer that one had.
#[test]
fn settling_returns_nothing_that_is_being_loaned() {
    explore(|| {
        let memory = Arc::new((Memory::default(), Known::default()));
        let cell = &memory.0.cells[0];
        cell.take(ONE).expect("it is free");
        withdraw(&memory.0.cells, ONE.slot);

        let settling = memory.clone();
        let settler = thread::spawn(move || settling.1.settle(&settling.0.cells[0], ONE, TWO.slot));
        if memory.1.loan(cell, TWO).is_some() {
            assert!(cell.is_held_by(TWO.slot));
            memory.0.write(5);
            assert!(cell.is_held_by(TWO.slot), "it was taken from who loaned it");
            memory.1.give_back(cell, TWO.slot);
        }
        assert!(!settler.join().unwrap());
        assert!(cell.is_free());
    });
}
