//! Pools between participants: who holds what, and what comes back.

use std::{thread, time::Duration};

use crosstie_core::Deadline;
use crosstie_shm::{Error, ParticipantId, Pool, Ring, SizeClass, Token, deadline_after};

const SMALL: SizeClass = SizeClass { bytes: 64, buffers: 2 };
const LARGE: SizeClass = SizeClass { bytes: 5000, buffers: 1 };

fn soon() -> Deadline {
    deadline_after(Duration::from_secs(60))
}

fn two() -> (Pool, Pool) {
    let ours = Pool::anonymous(&[SMALL, LARGE]).unwrap();
    let theirs = Pool::of(ours.segment()).unwrap();
    (ours, theirs)
}

fn is_void<T: std::fmt::Debug>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Loan { .. }))
}

#[test]
fn a_loan_is_of_the_smallest_class_that_has_one() {
    let (ours, _) = two();
    let loans: Vec<_> = (0..3).map(|_| ours.try_loan(10).unwrap().expect("there are three")).collect();
    assert!(ours.try_loan(10).unwrap().is_none());
    assert!(ours.try_loan(5000).unwrap().is_none(), "the large one was taken for a small one");
    assert_eq!(ours.free(), 0);
    drop(loans);
    assert_eq!(ours.free(), 3);
    assert!(matches!(ours.try_loan(5001), Err(Error::Spec { .. })));
    assert!(matches!(Pool::spec(&[LARGE, SMALL]), Err(Error::Spec { .. })));
}

#[test]
fn what_is_given_is_read_where_it_was_written_and_then_free() {
    let (ours, theirs) = two();
    let mut loan = ours.try_loan(64).unwrap().unwrap();
    loan[..5].copy_from_slice(b"hello");
    let token = loan.cut(5).give(theirs.id()).unwrap();
    assert_eq!(ours.free(), 2);
    let sample = theirs.accept(token).unwrap();
    let copy = sample.clone();
    drop(sample);
    assert_eq!(&*copy, b"hello");
    drop(copy);
    assert_eq!(ours.free(), 3);
}

#[test]
fn a_token_is_good_once_and_for_its_receiver() {
    let (ours, theirs) = two();
    let token = ours.try_loan(8).unwrap().unwrap().give(theirs.id()).unwrap();
    assert!(is_void(ours.accept(token)), "it was given to another");
    assert!(is_void(theirs.accept(Token { generation: token.generation + 1, ..token })));
    assert!(is_void(theirs.accept(Token { buffer: 99, ..token })));
    assert!(is_void(theirs.accept(Token { len: 65, ..token })));
    let sample = theirs.accept(token).unwrap();
    assert!(is_void(theirs.accept(token)), "it was accepted already");
    drop(sample);
    assert!(is_void(theirs.accept(token)), "it was returned");
}

#[test]
fn several_may_hold_one_buffer() {
    let (ours, theirs) = two();
    let third = Pool::of(ours.segment()).unwrap();
    let shared = ours.try_loan(8).unwrap().unwrap().share();
    let (one, two) = (shared.give(theirs.id()).unwrap(), shared.give(third.id()).unwrap());
    assert!(is_void(shared.give(third.id())), "it holds it already");
    drop(shared);
    assert_eq!(ours.free(), 2);
    drop(theirs.accept(one).unwrap());
    assert_eq!(ours.free(), 2);
    drop(third.accept(two).unwrap());
    assert_eq!(ours.free(), 3);
}

#[test]
fn who_leaves_takes_its_holds_along() {
    let (ours, theirs) = two();
    let id = theirs.id();
    let token = ours.try_loan(8).unwrap().unwrap().give(id).unwrap();
    drop(theirs);
    assert_eq!(ours.free(), 3, "a token on its way to who left");
    let next = Pool::of(ours.segment()).unwrap();
    assert_eq!(next.id().slot, id.slot);
    assert!(is_void(next.accept(token)), "the token was its predecessor's");
    assert!(is_void(ours.try_loan(8).unwrap().unwrap().give(id)), "nobody is given what nobody would return");
    assert_eq!(ours.free(), 3);
}

#[test]
fn what_was_given_and_never_told_is_settled() {
    let (ours, theirs) = two();
    let author = ours.id();
    let held = theirs.accept(ours.try_loan(8).unwrap().unwrap().give(theirs.id()).unwrap()).unwrap();
    // The token gets lost, as when its sender dies before it sends it.
    let _ = ours.try_loan(8).unwrap().unwrap().give(theirs.id()).unwrap();
    drop(ours);
    assert_eq!(theirs.free(), 1);
    assert_eq!(theirs.settle(ParticipantId { generation: author.generation + 1, ..author }).unwrap(), 0);
    assert_eq!(theirs.settle(author).unwrap(), 1);
    assert_eq!(theirs.free(), 2, "what was accepted is still held");
    drop(held);
    assert_eq!(theirs.free(), 3);
}

#[test]
fn buffers_go_round_through_a_ring() {
    const MESSAGES: u64 = 5_000;
    let (ours, theirs) = two();
    let ring = Ring::<Token>::anonymous(4).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    thread::scope(|scope| {
        let to = theirs.id();
        let ours = &ours;
        scope.spawn(move || {
            for message in 0..MESSAGES {
                // There are fewer buffers than slots: it waits for those that come back.
                let mut loan = ours.loan(64, soon()).unwrap().expect("the other returns them");
                loan.fill(u8::try_from(message % 251).unwrap());
                sender.send(loan.give(to).unwrap(), soon()).unwrap();
            }
        });
        for message in 0..MESSAGES {
            let sample = theirs.accept(receiver.receive(soon()).unwrap()).unwrap();
            assert!(sample.iter().all(|byte| u64::from(*byte) == message % 251));
        }
    });
    assert_eq!(ours.free(), 3);
}

#[test]
fn a_damaged_table_of_classes_is_refused() {
    use std::sync::atomic::{AtomicU64, Ordering};

    let (ours, _) = two();
    let table = ours.segment().data().records::<AtomicU64>(0, 32).unwrap();
    for (word, value) in [(0, 1 << 40), (1, u64::MAX), (1, 0), (2, 1), (3, 3)] {
        let before = table[word].swap(value, Ordering::Relaxed);
        assert!(matches!(Pool::of(ours.segment()), Err(Error::Corrupt { .. })), "word {word} = {value}");
        table[word].store(before, Ordering::Relaxed);
    }
    Pool::of(ours.segment()).unwrap();
}
