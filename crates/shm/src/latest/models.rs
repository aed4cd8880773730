//! Models of a value under loom and shuttle: one writer, two readers, and the death of the writer as a step.

use super::cells::{Cells, Control, Reading};
use crate::{
    models::{Arc, explore, explore_points, thread},
    steps,
    sync::{AtomicU64, Ordering::Relaxed},
};

struct Memory {
    control: Control,
    readers: Vec<Reading>,
    words: Vec<AtomicU64>,
}

impl Memory {
    fn new(readers: usize) -> Arc<Self> {
        Arc::new(Self {
            control: Control::default(),
            readers: (0..readers).map(|_| Reading::default()).collect(),
            words: (0..(readers + 2) * 2).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    fn cells(&self) -> Cells<'_> {
        Cells::new(&self.control, &self.readers, &self.words, 2)
    }
}

/// A value is two words that belong together.
fn write(cells: &Cells<'_>, value: u64) {
    let (buffer, words) = cells.place().expect("there is a buffer for each reader and two more");
    words[0].store(value, Relaxed);
    steps::step!("model.half_written");
    words[1].store(value * 10, Relaxed);
    cells.publish(buffer).expect("nobody damages it");
}

fn read(cells: &Cells<'_>, row: usize) -> u64 {
    let Some((_, words)) = cells.open(row).expect("nobody damages it") else { return 0 };
    let value = words[0].load(Relaxed);
    assert_ne!(value, 0, "a version was found and not its words");
    assert_eq!(words[1].load(Relaxed), value * 10, "the value is torn");
    cells.close(row);
    value
}

#[test]
fn values_are_whole_and_never_go_back() {
    explore(|| {
        let memory = Memory::new(1);
        let theirs = memory.clone();
        let writer = thread::spawn(move || (1..=3).for_each(|value| write(&theirs.cells(), value)));
        let first = read(&memory.cells(), 0);
        let second = read(&memory.cells(), 0);
        assert!(first <= second && second <= 3, "{second} after {first}");
        writer.join().unwrap();
        assert_eq!(read(&memory.cells(), 0), 3);
    });
}

#[test]
fn two_readers_hold_two_buffers() {
    explore(|| {
        let memory = Memory::new(2);
        let (theirs, others) = (memory.clone(), memory.clone());
        let writer = thread::spawn(move || (1..=2).for_each(|value| write(&theirs.cells(), value)));
        let reader = thread::spawn(move || read(&others.cells(), 1));
        read(&memory.cells(), 0);
        writer.join().unwrap();
        reader.join().unwrap();
    });
}

/// The writer dies at every point, and its successor writes on.
#[test]
fn a_writer_that_dies_leaves_the_last_whole_value() {
    explore_points(8, |points| {
        let memory = Memory::new(1);
        let theirs = memory.clone();
        let writers = thread::spawn(move || {
            steps::die_at(points, || (1..=2).for_each(|value| write(&theirs.cells(), value)));
            theirs.cells().resume().expect("nobody damages it");
            (3..=4).for_each(|value| write(&theirs.cells(), value));
        });
        let first = read(&memory.cells(), 0);
        let second = read(&memory.cells(), 0);
        assert!(first <= second, "{second} after {first}");
        writers.join().unwrap();
        assert_eq!(read(&memory.cells(), 0), 4);
    });
}

/// A reader dies at every point; the writer goes on, and so does whoever takes its row after it was reaped.
#[test]
fn a_reader_that_dies_stops_nobody() {
    explore_points(3, |points| {
        let memory = Memory::new(1);
        let theirs = memory.clone();
        let writer = thread::spawn(move || (1..=3).for_each(|value| write(&theirs.cells(), value)));
        steps::die_at(points, || read(&memory.cells(), 0));
        memory.cells().close_for(0);
        read(&memory.cells(), 0);
        writer.join().unwrap();
        assert_eq!(read(&memory.cells(), 0), 3);
    });
}
