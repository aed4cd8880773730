//! loom models of waiting by descriptor: one who makes an object ready, the thread that listens, and one who armed. Death is a step.
//!
//! The descriptor is a word with a futex here: the thread writes it, whoever armed sleeps on it. A wake that is lost anywhere between the
//! three is a deadlock, and loom tells it.

use crosstie_core::Deadline;

use super::{Bell, EventCount, Fence, Listener, Notified};
use crate::{
    models::{Arc, explore, explore_points, thread},
    steps::{self, step},
    sync::{AtomicU32, AtomicU64, Ordering::*, futex_wait, futex_wait_two, futex_wake},
};

const BIT: u32 = 70;

struct World {
    /// The object: messages sent so far, and what is armed.
    sent: AtomicU64,
    event: EventCount,
    bell: AtomicU32,
    ready: [AtomicU64; 2],
    membership: AtomicU32,
    /// The descriptor: how often it was rung.
    descriptor: AtomicU32,
    is_over: AtomicU32,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            sent: AtomicU64::new(0),
            event: EventCount::default(),
            bell: AtomicU32::new(0),
            ready: [AtomicU64::new(0), AtomicU64::new(0)],
            membership: AtomicU32::new(0),
            descriptor: AtomicU32::new(0),
            is_over: AtomicU32::new(0),
        })
    }

    fn bell(&self) -> Bell<'_> {
        Bell::new(&self.bell, &self.ready)
    }

    fn send(&self) {
        self.sent.fetch_add(1, Release);
        step!("model.sent");
        if self.event.notify(Fence::Full) == Notified::Ring {
            self.bell().ring(BIT);
        }
    }

    /// What whoever reaps does last.
    fn bury(&self) {
        self.membership.fetch_add(1, Release);
        futex_wake(&self.membership, u32::MAX);
    }

    /// The thread that listens, until all is over.
    fn listen(&self) {
        let mut listener = Listener::new(self.bell(), &self.membership, 0);
        loop {
            let heard = listener.listen();
            if heard.is_for(BIT) {
                self.descriptor.fetch_add(1, Release);
                futex_wake(&self.descriptor, u32::MAX);
            }
            if self.is_over.load(Acquire) == 1 {
                return;
            }
            let [bell, membership] = listener.words();
            futex_wait_two(bell, membership, Deadline::NEVER);
        }
    }

    /// In life the thread never ends; a model must.
    fn end(&self) {
        self.is_over.store(1, Release);
        futex_wake(&self.membership, u32::MAX);
        self.bell.fetch_add(4, Release);
        futex_wake(&self.bell, u32::MAX);
    }

    /// Waits by descriptor until `count` messages are there, or somebody has died.
    fn wait(&self, count: u64) {
        self.wait_with(count, true);
    }

    fn wait_with(&self, count: u64, is_looking: bool) {
        loop {
            let rung = self.descriptor.load(Acquire);
            self.event.arm(|| Fence::Full);
            let is_ready = self.sent.load(Acquire) >= count || self.membership.load(Acquire) > 0;
            if is_looking && is_ready {
                return;
            }
            futex_wait(&self.descriptor, rung, Deadline::NEVER);
            if self.sent.load(Acquire) >= count || self.membership.load(Acquire) > 0 {
                return;
            }
        }
    }
}

#[test]
fn who_armed_is_told() {
    explore(|| {
        let world = World::new();
        let (theirs, listening) = (world.clone(), world.clone());
        let sender = thread::spawn(move || theirs.send());
        let listener = thread::spawn(move || listening.listen());
        world.wait(1);
        sender.join().unwrap();
        world.end();
        listener.join().unwrap();
    });
}

/// Whoever does not look between arming and waiting waits for ever for what came before.
#[test]
#[should_panic(expected = "deadlock")]
fn control_without_a_look_after_arming_a_message_is_missed() {
    explore(|| {
        let world = World::new();
        let theirs = world.clone();
        let sender = thread::spawn(move || theirs.send());
        world.wait_with(1, false);
        sender.join().unwrap();
    });
}

/// Two of them in a row: the second comes while the first is told.
#[test]
fn who_arms_again_is_told_again() {
    explore(|| {
        let world = World::new();
        let (theirs, listening) = (world.clone(), world.clone());
        let sender = thread::spawn(move || {
            theirs.send();
            theirs.send();
        });
        let listener = thread::spawn(move || listening.listen());
        world.wait(1);
        sender.join().unwrap();
        world.end();
        listener.join().unwrap();
        assert_eq!(world.sent.load(Acquire), 2);
    });
}

/// The sender dies at every point, with the flag up, down, or half rung; whoever reaps it says so.
#[test]
fn who_armed_is_told_of_a_death() {
    explore_points(5, |points| {
        let world = World::new();
        let (theirs, listening) = (world.clone(), world.clone());
        let sender = thread::spawn(move || {
            steps::die_at(points, || theirs.send());
            theirs.bury();
        });
        let listener = thread::spawn(move || listening.listen());
        world.wait(u64::MAX);
        sender.join().unwrap();
        world.end();
        listener.join().unwrap();
    });
}

/// Nobody armed: nothing is rung, and the object's word stays as it was.
#[test]
fn nobody_is_rung_for_who_has_not_armed() {
    explore(|| {
        let world = World::new();
        let theirs = world.clone();
        let sender = thread::spawn(move || theirs.send());
        sender.join().unwrap();
        assert_eq!(world.bell.load(Relaxed), 0);
        assert!(world.ready.iter().all(|word| word.load(Relaxed) == 0));
    });
}
