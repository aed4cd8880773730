//! The receiving ends of rings whose memory an enemy writes: whatever stands in positions, stamps, headers and seats, a receive gives a message
//! of bytes that lie in the ring, nothing, or an error, and it comes to an end.
//!
//! A target is safe Rust, and no sanitizer watches the ring's own unsafe code; so what it hands out is checked against the bytes of the segment.

#![no_main]

use std::{fs::File, os::unix::fs::FileExt, sync::atomic::Ordering::Relaxed, time::Duration};

use arbitrary::Arbitrary;
use crosstie_shm::{ByteRing, Notifier, ReceiveError, Ring, Segment, deadline_after};
use libfuzzer_sys::fuzz_target;

const BYTES: u32 = 512;
const SLOTS: u32 = 8;
/// What stands in front of the frames or slots.
const CONTROL: u64 = 640;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Frames of bytes, or messages of one size.
    is_bytes: bool,
    /// What was sent by a sender that kept the rules, before.
    sent: Vec<u8>,
    /// Damage before the receiver sits down, and between its receives: where, by words, and what.
    before: Vec<(u16, Value)>,
    between: Vec<(u16, Value)>,
}

#[derive(Arbitrary, Debug)]
enum Value {
    Any(u64),
    /// Near what might stand there.
    Small(u16),
    /// The header of a frame of this length.
    Frame(u32),
    Rest(u32),
}

impl Value {
    fn word(&self) -> u64 {
        match *self {
            Self::Any(word) => word,
            Self::Small(word) => word.into(),
            Self::Frame(length) => 1 << 32 | u64::from(length),
            Self::Rest(length) => 2 << 32 | u64::from(length),
        }
    }
}

fuzz_target!(|input: Input| {
    let check = if input.is_bytes { frames } else { messages };
    check(&input);
});

/// Puts words into the data of the segment: seats, positions, wake-up words, frames.
fn damage(segment: &Segment, edits: &[(u16, Value)]) {
    let data = segment.data();
    for (at, value) in edits {
        let words = data.len() / 8;
        let place = data.record::<crosstie_shm::sync::AtomicU64>(u64::from(*at) % words * 8).expect("it is within");
        place.store(value.word(), Relaxed);
    }
}

/// Everything behind the lines in front, as it lies in the file.
fn memory(segment: &Segment) -> Vec<u8> {
    let data = segment.data();
    let file = File::from(std::os::fd::AsFd::as_fd(segment).try_clone_to_owned().expect("there are descriptors"));
    let mut bytes = vec![0; usize::try_from(data.len() - CONTROL).expect("small")];
    file.read_exact_at(&mut bytes, data.offset() + CONTROL).expect("it is as long");
    bytes
}

fn is_in(memory: &[u8], part: &[u8]) -> bool {
    part.is_empty() || memory.windows(part.len()).any(|window| window == part)
}

/// True if the ring is of no more use; it says why.
fn is_over(error: &ReceiveError) -> bool {
    assert!(!error.to_string().is_empty());
    !matches!(error, ReceiveError::Empty)
}

fn frames(input: &Input) {
    let ring = ByteRing::anonymous(BYTES).expect("there is memory");
    {
        let mut sender = ring.sender().expect("nobody sits there");
        for length in &input.sent {
            let _ = sender.try_send(&vec![*length; usize::from(*length)]);
        }
    }
    damage(ring.segment(), &input.before);
    let Ok(mut receiver) = ring.receiver() else { return };
    let notifier = Notifier::new().expect("there are descriptors");
    let mut edits = input.between.chunks(2);
    // No frame is shorter than its header, so so many receives come to an end, or the memory is written to meanwhile.
    for _ in 0..BYTES {
        match receiver.try_receive() {
            Ok(frame) => assert!(frame.len() <= BYTES as usize && is_in(&memory(ring.segment()), &frame)),
            Err(error) if is_over(&error) => return,
            Err(_) => {}
        }
        let Some(edits) = edits.next() else { break };
        damage(ring.segment(), edits);
    }
    let _ = receiver.arm(&notifier, 1);
    let _ = receiver.receive(deadline_after(Duration::ZERO)).map(|frame| frame.len());
}

fn messages(input: &Input) {
    let ring = Ring::<[u64; 3]>::anonymous(SLOTS).expect("there is memory");
    {
        let mut sender = ring.sender().expect("nobody sits there");
        for message in &input.sent {
            let _ = sender.try_send([u64::from(*message); 3]);
        }
    }
    damage(ring.segment(), &input.before);
    let Ok(mut receiver) = ring.receiver() else { return };
    let notifier = Notifier::new().expect("there are descriptors");
    let mut edits = input.between.chunks(2);
    for round in 0..u64::from(SLOTS) * 4 {
        let outcome = if round % 3 == 2 {
            let mut many = Vec::new();
            receiver.try_receive_many(&mut many, 100).map(|count| {
                assert!(count == many.len() && count <= SLOTS as usize);
                many[0]
            })
        } else {
            receiver.try_receive()
        };
        match outcome {
            Ok(message) => {
                let bytes: Vec<_> = message.iter().flat_map(|word| word.to_le_bytes()).collect();
                assert!(is_in(&memory(ring.segment()), &bytes));
            }
            Err(error) if is_over(&error) => return,
            Err(_) => {}
        }
        let Some(edits) = edits.next() else { break };
        damage(ring.segment(), edits);
    }
    let _ = receiver.arm(&notifier, 1);
    let _ = receiver.receive(deadline_after(Duration::ZERO));
}
