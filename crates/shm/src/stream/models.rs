//! Models of one direction of a stream under loom and shuttle: who writes and who reads, in every interleaving, with the death of either as a step.
//!
//! A bell is a word with a futex here, and so is the lifeline, which a death cuts. A byte is a word that holds its own number. A model panics, or loom
//! does, if a byte is torn, lost, doubled or out of order, or if somebody sleeps on what is there, on the end, or on one who is dead.

use crosstie_core::Deadline;

use super::flow::{Broken, Flow, Found, Position, Wakes};
use crate::{
    models::{Arc, explore, explore_points, explore_within, thread},
    steps,
    sync::{AtomicU32, AtomicU64, Ordering::*, futex_wait_two, futex_wake},
};

/// Bytes of the ring: it is full, empty and written over within a few.
const CAPACITY: u64 = 2;

/// One direction with its bells, and the lifeline of the two.
struct World {
    tail: AtomicU64,
    ended: AtomicU32,
    head: AtomicU64,
    gone: AtomicU32,
    reader_waits: AtomicU32,
    writer_waits: AtomicU32,
    bytes: Vec<AtomicU64>,
    bytes_came: AtomicU32,
    room_came: AtomicU32,
    lifeline: AtomicU32,
}

/// How a direction ended for who reads.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    Ended,
    Died,
}

impl World {
    fn new() -> Arc<Self> {
        let word = || AtomicU32::new(0);
        Arc::new(Self {
            tail: AtomicU64::new(0),
            ended: word(),
            head: AtomicU64::new(0),
            gone: word(),
            reader_waits: word(),
            writer_waits: word(),
            bytes: (0..CAPACITY).map(|_| AtomicU64::new(0)).collect(),
            bytes_came: word(),
            room_came: word(),
            lifeline: word(),
        })
    }

    fn flow(&self) -> Flow<'_> {
        Flow {
            tail: &self.tail,
            ended: &self.ended,
            head: &self.head,
            gone: &self.gone,
            reader_waits: &self.reader_waits,
            writer_waits: &self.writer_waits,
            capacity: CAPACITY,
        }
    }

    fn byte(&self, position: u64) -> &AtomicU64 {
        &self.bytes[(position % CAPACITY) as usize]
    }

    /// Writes bytes as long as there is room, until it has written up to `end`; false if nobody reads any more.
    fn write(&self, position: &mut Position, end: u64) -> bool {
        while position.own < end {
            let is_cut = self.lifeline.load(Acquire) != 0;
            if is_cut || self.flow().is_closed() {
                return false;
            }
            let room = fits(self.flow().room(position, end - position.own));
            if room == 0 {
                let own = position.own;
                if !self.flow().arm_writing(|| self.flow().is_writable(own, 1)) {
                    self.sleep(&self.room_came);
                }
                continue;
            }
            let count = room.min(end - position.own);
            for at in position.own..position.own + count {
                self.byte(at).store(at + 1, Relaxed);
            }
            ring(&self.bytes_came, self.flow().publish(position, count));
        }
        true
    }

    /// Reads up to `end` bytes, each of which must be the next; how it ended, if it did before.
    fn read(&self, position: &mut Position, end: u64) -> Option<Ending> {
        while position.own < end {
            // Before the look at the bytes: what was written before a death is read.
            let is_cut = self.lifeline.load(Acquire) != 0;
            let count = match fits(self.flow().found(position)) {
                Found::Bytes(count) => count.min(end - position.own),
                Found::End => return Some(Ending::Ended),
                Found::Nothing if is_cut => return Some(Ending::Died),
                Found::Nothing => {
                    let own = position.own;
                    if !self.flow().arm_reading(|| self.flow().is_readable(own)) {
                        self.sleep(&self.bytes_came);
                    }
                    continue;
                }
            };
            for at in position.own..position.own + count {
                assert_eq!(self.byte(at).load(Relaxed), at + 1, "the byte is another");
            }
            ring(&self.room_came, self.flow().take(position, count));
        }
        None
    }

    /// Sleeps until the bell rings or the lifeline is cut. A bell that has rung stays so until somebody has slept on it.
    fn sleep(&self, bell: &AtomicU32) {
        futex_wait_two((bell, 0), (&self.lifeline, 0), Deadline::NEVER);
        bell.store(0, Relaxed);
    }

    /// What the kernel does when a process ends, whatever it was at.
    fn cut(&self) {
        self.lifeline.store(1, Release);
        futex_wake(&self.lifeline, u32::MAX);
    }
}

fn ring(bell: &AtomicU32, wakes: Wakes) {
    if wakes.0 {
        bell.store(1, Release);
        futex_wake(bell, 1);
    }
}

fn fits<T>(outcome: Result<T, Broken>) -> T {
    outcome.expect("nobody breaks the rules")
}

/// Three bytes through room for two: both sides wait.
#[test]
fn bytes_come_in_order_and_nobody_sleeps_for_ever() {
    explore(|| {
        let world = World::new();
        let theirs = world.clone();
        let writer = thread::spawn(move || assert!(theirs.write(&mut Position::default(), 3)));
        let mut position = Position::default();
        assert_eq!(world.read(&mut position, 3), None);
        writer.join().unwrap();
    });
}

/// One preemption more than others: with less, who reads has always waited for the last bytes before it looks for the end.
#[test]
fn the_end_comes_after_all_that_came_before() {
    explore_within(4, || {
        let world = World::new();
        let theirs = world.clone();
        let writer = thread::spawn(move || {
            assert!(theirs.write(&mut Position::default(), 1));
            ring(&theirs.bytes_came, theirs.flow().end_writing());
        });
        let mut position = Position::default();
        assert_eq!(world.read(&mut position, 9), Some(Ending::Ended));
        assert_eq!(position.own, 1, "the end came before what was written");
        writer.join().unwrap();
    });
}

/// A single look, which no fence of a wait has helped: whoever sees the end has seen the bytes before it.
#[test]
fn no_look_finds_the_end_before_the_bytes() {
    explore(|| {
        let world = World::new();
        let theirs = world.clone();
        let writer = thread::spawn(move || {
            let mut position = Position::default();
            theirs.byte(0).store(1, Relaxed);
            let _ = theirs.flow().publish(&mut position, 1);
            let _ = theirs.flow().end_writing();
        });
        assert_ne!(fits(world.flow().found(&mut Position::default())), Found::End, "there was a byte before");
        writer.join().unwrap();
    });
}

/// The writer dies at each of its steps: the reader is told, after all that was written and nothing else.
#[test]
fn who_reads_is_told_of_a_death_after_all_that_was_written() {
    explore_points(8, |points| {
        let world = World::new();
        let theirs = world.clone();
        let writer = thread::spawn(move || {
            steps::die_at(points, || theirs.write(&mut Position::default(), 3));
            theirs.cut();
        });
        let mut position = Position::default();
        assert_eq!(world.read(&mut position, 9), Some(Ending::Died));
        writer.join().unwrap();
        assert_eq!(position.own, world.tail.load(Relaxed), "what was written before the death is read");
    });
}

/// The reader dies at each of its steps: who waits for room is told.
#[test]
fn who_writes_is_told_of_a_death() {
    explore_points(6, |points| {
        let world = World::new();
        let theirs = world.clone();
        let reader = thread::spawn(move || {
            steps::die_at(points, || theirs.read(&mut Position::default(), 1));
            theirs.cut();
        });
        assert!(!world.write(&mut Position::default(), 4), "there was never room for so many");
        reader.join().unwrap();
    });
}

/// Whoever says that nobody reads any more wakes who waits for room.
#[test]
fn who_writes_is_told_that_nobody_reads() {
    explore(|| {
        let world = World::new();
        let theirs = world.clone();
        let reader = thread::spawn(move || ring(&theirs.room_came, theirs.flow().end_reading()));
        assert!(!world.write(&mut Position::default(), 3), "there was never room for so many");
        reader.join().unwrap();
    });
}

/// Without a lifeline, whoever waits for one who died between its bytes and the wake waits for ever.
#[test]
#[should_panic(expected = "deadlock")]
fn control_without_a_lifeline_a_death_is_not_told() {
    explore_points(8, |points| {
        let world = World::new();
        let theirs = world.clone();
        let writer = thread::spawn(move || {
            steps::die_at(points, || theirs.write(&mut Position::default(), 3));
        });
        let _ = world.read(&mut Position::default(), 9);
        writer.join().unwrap();
    });
}
