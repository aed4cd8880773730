//! Models of a pool under loom and shuttle: two who loan, one to whom buffers are given, and death as a step.

use super::cells::{Cell, Refused, withdraw};
use crate::{
    layout::ParticipantId,
    models::{Arc, explore, explore_points, thread},
    steps,
    sync::{AtomicU64, Ordering::*, yield_now},
};

const ONE: ParticipantId = ParticipantId { slot: 1, generation: 1 };
const TWO: ParticipantId = ParticipantId { slot: 2, generation: 1 };

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
