//! Models of the rings under loom and shuttle: one sender and one receiver in every interleaving, with the death of either as a step.
//!
//! loom tries all interleavings with at most `LOOM_MAX_PREEMPTIONS` preemptions, 3 unless set; shuttle tries `CROSSTIE_SCHEDULES` random ones. A model
//! panics, or loom does, if a message is torn, lost, doubled or out of order beyond the contract, or if everybody sleeps.

use crosstie_core::{Deadline, Mono};

use super::{bytes, control::Control, slots};
use crate::{
    layout::ParticipantId,
    models::{Arc, explore, explore_points, thread},
    steps,
    sync::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
        yield_now,
    },
    wait::{EventCount, Fence, Peer, WaitPolicy, Waiter},
};

/// A ring's memory.
struct Memory {
    control: Control,
    words: Vec<AtomicU64>,
}

impl Memory {
    fn new(words: usize) -> Arc<Self> {
        Arc::new(Self { control: Control::default(), words: (0..words).map(|_| AtomicU64::new(0)).collect() })
    }

    fn slots(&self) -> slots::Slots<'_> {
        slots::Slots::new(&self.words, 4, self.words.len() as u64 / 4)
    }

    fn producer(&self) -> slots::Producer<'_> {
        slots::Producer::resume(&self.control, self.slots()).expect("nobody damages it")
    }

    fn consumer(&self) -> slots::Consumer<'_> {
        slots::Consumer::resume(&self.control, self.slots()).expect("nobody damages it")
    }

    fn byte_producer(&self) -> bytes::Producer<'_> {
        bytes::Producer::resume(&self.control, bytes::Frames::new(&self.words)).expect("nobody damages it")
    }

    fn byte_consumer(&self) -> bytes::Consumer<'_> {
        bytes::Consumer::resume(&self.control, bytes::Frames::new(&self.words)).expect("nobody damages it")
    }
}

/// A message is three words that belong together.
fn write(words: &[AtomicU64], message: u64) {
    for (at, word) in (0..).zip(words) {
        word.store(message * 10 + at, Relaxed);
    }
}

fn read(words: &[AtomicU64]) -> u64 {
    let first = words[0].load(Relaxed) / 10;
    for (at, word) in (0..).zip(words) {
        assert_eq!(word.load(Relaxed), first * 10 + at, "the message is torn");
    }
    first
}

fn try_send(producer: &mut slots::Producer<'_>, message: u64) -> bool {
    producer.push(|words| write(words, message)).expect("nobody damages it")
}

fn try_receive(consumer: &mut slots::Consumer<'_>) -> Option<u64> {
    if !consumer.look_ahead().expect("nobody damages it") {
        return None;
    }
    let message = read(consumer.peek().expect("nobody damages it").expect("it was seen"));
    consumer.take(1);
    Some(message)
}

/// Sends `message` as soon as there is room.
fn send(producer: &mut slots::Producer<'_>, message: u64) {
    while !try_send(producer, message) {
        yield_now();
    }
}

/// The next message, as soon as it is there.
fn receive(consumer: &mut slots::Consumer<'_>) -> u64 {
    loop {
        match try_receive(consumer) {
            Some(message) => return message,
            None => yield_now(),
        }
    }
}

fn try_send_frame(producer: &mut bytes::Producer<'_>, message: u64, length: u64) -> bool {
    let Some(place) = producer.place(length).expect("nobody damages it") else { return false };
    write(place.words, message);
    producer.send(&place, length);
    true
}

fn try_receive_frame(consumer: &mut bytes::Consumer<'_>) -> Option<(u64, u64)> {
    let frame = consumer.peek().expect("nobody damages it")?;
    let found = (read(frame.words), frame.length);
    consumer.take(&frame);
    Some(found)
}

struct Lives(Fence);

impl Peer for Lives {
    fn has_left(&self) -> bool {
        false
    }
    fn has_died(&self) -> bool {
        false
    }
    fn fence(&self) -> Fence {
        self.0
    }
    fn processors(&self) -> u64 {
        1
    }
}

#[test]
fn messages_arrive_whole_once_and_in_order() {
    explore(|| {
        let memory = Memory::new(8);
        let theirs = memory.clone();
        let sender = thread::spawn(move || {
            let mut producer = theirs.producer();
            for message in 1..=3 {
                send(&mut producer, message);
            }
        });
        let mut consumer = memory.consumer();
        for expected in 1..=3 {
            let message = receive(&mut consumer);
            assert_eq!(message, expected);
        }
        sender.join().unwrap();
    });
}

#[test]
fn nobody_sleeps_on_a_condition_that_is_true() {
    for fence in [Fence::Full, Fence::Light] {
        explore(move || {
            // One slot: the sender has to sleep as well.
            let memory = Memory::new(4);
            let theirs = memory.clone();
            let sender = thread::spawn(move || {
                let (mut producer, control) = (theirs.producer(), &theirs.control);
                let mut waiter = Waiter::new(WaitPolicy::Park, 1);
                for message in 1..=2 {
                    waiter
                        .wait(
                            &control.room,
                            &Lives(fence),
                            || Mono::ZERO,
                            Deadline::NEVER,
                            || try_send(&mut producer, message).then_some(()),
                        )
                        .expect("nothing ends the wait");
                    control.items.notify(fence);
                }
            });
            let (mut consumer, control) = (memory.consumer(), &memory.control);
            let mut waiter = Waiter::new(WaitPolicy::Park, 1);
            for expected in 1..=2 {
                let message = waiter
                    .wait(&control.items, &Lives(fence), || Mono::ZERO, Deadline::NEVER, || try_receive(&mut consumer))
                    .expect("nothing ends the wait");
                control.room.notify(fence);
                assert_eq!(message, expected);
            }
            sender.join().unwrap();
        });
    }
}

#[test]
fn what_was_sent_before_leaving_is_seen_before_the_leaving() {
    const ME: ParticipantId = ParticipantId { slot: 1, generation: 1 };
    explore(|| {
        let memory = Memory::new(8);
        let theirs = memory.clone();
        let sender = thread::spawn(move || {
            let seat = &theirs.control.quiet.sender;
            seat.take(ME, Fence::Full, 1, |_| false).expect("nobody sits there");
            assert!(try_send(&mut theirs.producer(), 1));
            seat.leave(ME);
        });
        // A thread of its own, and no yielding: loom would not let it see what is older than the yield.
        let receiver = thread::spawn(move || {
            if memory.control.quiet.sender.has_left() {
                assert_eq!(try_receive(&mut memory.consumer()), Some(1));
            }
        });
        receiver.join().unwrap();
        sender.join().unwrap();
    });
}

/// Two sleep on one word, as the readers of a value do.
#[test]
fn two_sleepers_do_not_hide_a_wake_from_each_other() {
    explore(|| {
        let shared = Arc::new((EventCount::default(), AtomicU64::new(0)));
        let wait = |(event, version): &(EventCount, AtomicU64)| {
            let is_there = || (version.load(Acquire) > 0).then_some(());
            let mut waiter = Waiter::among_others(WaitPolicy::Park, 1);
            waiter.wait(event, &Lives(Fence::Full), || Mono::ZERO, Deadline::NEVER, is_there).expect("nothing ends it");
        };
        let (one, two) = (shared.clone(), shared.clone());
        let sleepers = [thread::spawn(move || wait(&one)), thread::spawn(move || wait(&two))];
        shared.1.store(1, Release);
        shared.0.notify(Fence::Full);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

/// A sender dies at every point and another takes over, which must begin after the last message that was sent.
#[test]
fn a_sender_that_dies_has_sent_a_message_or_not() {
    explore_points(8, |points| {
        let memory = Memory::new(8);
        let theirs = memory.clone();
        let senders = thread::spawn(move || {
            let finished = steps::die_at(points, || {
                let mut producer = theirs.producer();
                for message in 1..=2 {
                    send(&mut producer, message);
                }
            });
            let mut successor = theirs.producer();
            // It goes on after what was sent: whoever numbers its messages by position loses and doubles none.
            let begun_at = successor.sent() + 1;
            assert!(finished.is_none() || begun_at == 3, "a sender that lived has sent all");
            for message in begun_at..=3 {
                // Other bytes for the same number: whatever is written over what was sent shows.
                send(&mut successor, message + 100);
            }
        });
        let mut consumer = memory.consumer();
        for expected in 1..=3 {
            let message = receive(&mut consumer);
            assert_eq!(message % 100, expected);
        }
        senders.join().unwrap();
    });
}

/// A receiver dies at every point and another takes over, which gets every message that was not taken.
#[test]
fn a_receiver_that_dies_has_taken_a_message_or_not() {
    explore_points(4, |points| {
        let memory = Memory::new(8);
        let theirs = memory.clone();
        let sender = thread::spawn(move || {
            let mut producer = theirs.producer();
            for message in 1..=3 {
                send(&mut producer, message);
            }
        });
        let handed_out = std::cell::Cell::new(0);
        steps::die_at(points, || {
            let mut consumer = memory.consumer();
            for _ in 0..2 {
                while try_receive(&mut consumer).is_none() {
                    yield_now();
                }
                handed_out.set(handed_out.get() + 1);
            }
        });
        let mut successor = memory.consumer();
        let taken = successor.taken();
        // What was taken may not have been handed out; what was handed out is taken.
        assert!(taken == handed_out.get() || taken == handed_out.get() + 1);
        for expected in taken + 1..=3 {
            let message = receive(&mut successor);
            assert_eq!(message, expected);
        }
        sender.join().unwrap();
    });
}

/// Frames of two lengths in a ring of 64 bytes: they are skipped to the front, and old bytes come to lie where headers are looked for.
#[test]
fn frames_survive_the_death_of_their_sender() {
    explore_points(9, |points| {
        let memory = Memory::new(8);
        // The first lap leaves bytes behind that look like headers.
        memory.words.iter().for_each(|word| word.store(0, Relaxed));
        let theirs = memory.clone();
        let length = |message: u64| if message % 2 == 0 { 8 } else { 16 };
        let senders = thread::spawn(move || {
            steps::die_at(points, || {
                let mut producer = theirs.byte_producer();
                for message in 1..=3 {
                    while !try_send_frame(&mut producer, message, length(message)) {
                        yield_now();
                    }
                    theirs.control.quiet.sender.set_bit(Some(u32::try_from(message).expect("small")));
                }
            });
            let mut successor = theirs.byte_producer();
            // A frame that was sent and not counted by its sender makes a doubled one here, and at most one.
            let begun_at = theirs.control.quiet.sender.bit().unwrap_or(0) + 1;
            for message in u64::from(begun_at)..=4 {
                while !try_send_frame(&mut successor, message + 100, length(message)) {
                    yield_now();
                }
            }
        });
        let mut consumer = memory.byte_consumer();
        let (mut last, mut doubled) = (0, 0);
        while last < 4 {
            match try_receive_frame(&mut consumer) {
                Some((message, bytes)) => {
                    let message = message % 100;
                    assert_eq!(bytes, length(message));
                    assert!(message == last || message == last + 1, "{message} after {last}");
                    doubled += u32::from(message == last);
                    last = message;
                }
                None => yield_now(),
            }
        }
        assert!(doubled <= 1, "one frame was under way, {doubled} came twice");
        senders.join().unwrap();
    });
}
