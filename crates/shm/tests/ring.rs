//! Rings between two ends: order, room, seats, closing, waiting, and damage.

use std::{collections::VecDeque, thread, time::Duration};

use crosstie_core::Deadline;
use crosstie_shm::{
    ByteRing, Directory, Error, Latest, Pool, ReceiveError, Ring, SegmentName, SendError, SizeClass, WaitPolicy,
    deadline_after,
};

/// Long enough for any machine; a wait that runs into it is a failure.
fn soon() -> Deadline {
    deadline_after(Duration::from_secs(60))
}

fn at_once() -> Deadline {
    deadline_after(Duration::ZERO)
}

fn place() -> (tempfile::TempDir, Directory) {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::at(folder.path().join("segments")).unwrap();
    (folder, directory)
}

fn name(text: &str) -> SegmentName {
    text.parse().unwrap()
}

/// Messages of one size go through a ring of four slots, some laps long.
fn goes_through<const N: usize>() {
    let ring = Ring::<[u8; N]>::anonymous(4).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    for round in 0..11u8 {
        for message in 0..3 {
            sender.try_send([round * 3 + message; N]).unwrap();
        }
        for message in 0..3 {
            assert_eq!(receiver.try_receive().unwrap(), [round * 3 + message; N]);
        }
        assert!(matches!(receiver.try_receive(), Err(ReceiveError::Empty)));
    }
    assert_eq!((sender.sent(), receiver.taken()), (33, 33));
}

#[test]
fn messages_of_any_size_go_through() {
    goes_through::<1>();
    goes_through::<8>();
    goes_through::<13>();
    goes_through::<48>();
    goes_through::<56>();
    goes_through::<57>();
    goes_through::<64>();
    goes_through::<1000>();
}

#[test]
fn a_full_ring_gives_the_message_back() {
    let ring = Ring::<u64>::anonymous(2).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let Err(SendError::Full(3)) = sender.try_send(3) else { panic!("there is no room") };
    let Err(SendError::TimedOut(3)) = sender.send(3, at_once()) else { panic!("nobody makes room") };
    assert_eq!(receiver.try_receive().unwrap(), 1);
    sender.try_send(3).unwrap();
}

#[test]
fn many_go_at_once_and_come_at_once() {
    let ring = Ring::<u32>::anonymous(8).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    assert_eq!(sender.try_send_many(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).unwrap(), 8);
    let mut came = Vec::new();
    assert_eq!(receiver.try_receive_many(&mut came, 3).unwrap(), 3);
    assert_eq!(sender.try_send_many(&[9, 10]).unwrap(), 2);
    assert_eq!(receiver.try_receive_many(&mut came, 100).unwrap(), 7);
    assert_eq!(came, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(matches!(receiver.try_receive_many(&mut came, 1), Err(ReceiveError::Empty)));
}

#[test]
fn a_loan_is_written_where_it_is_received() {
    let ring = Ring::<[u64; 512]>::anonymous(2).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    let _ = sender.try_loan().unwrap().expect("the ring is empty");
    assert!(matches!(receiver.peek(), Err(ReceiveError::Empty)), "a loan that was dropped was not sent");
    let mut loan = sender.try_loan().unwrap().expect("the ring is empty");
    loan[511] = 7;
    loan.send().unwrap();
    sender.try_send([8; 512]).unwrap();
    assert!(sender.try_loan().unwrap().is_none());
    receiver.peek().unwrap().leave();
    assert_eq!(receiver.peek().unwrap()[511], 7);
    assert_eq!(receiver.peek().unwrap()[511], 8, "dropping the first took it");
    assert!(receiver.is_empty().unwrap());
}

#[test]
fn each_end_has_one_at_a_time() {
    let ring = Ring::<u64>::anonymous(2).unwrap();
    let sender = ring.sender().unwrap();
    let Err(Error::SeatTaken { seat: "sender", .. }) = ring.sender() else { panic!("somebody sends already") };
    // Another participant of the same segment, as another process would be.
    let other = Ring::<u64>::of(ring.segment()).unwrap();
    let Err(Error::SeatTaken { .. }) = other.sender() else { panic!("somebody sends already") };
    drop(sender);
    other.sender().unwrap().try_send(1).unwrap();
}

#[test]
fn what_was_sent_before_closing_is_received_before_it_shows() {
    let ring = Ring::<u64>::anonymous(4).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    sender.try_send(1).unwrap();
    drop(sender);
    assert_eq!(receiver.receive(soon()).unwrap(), 1);
    assert!(matches!(receiver.try_receive(), Err(ReceiveError::Closed)));
    assert!(matches!(receiver.receive(soon()), Err(ReceiveError::Closed)));
    // A successor opens it again.
    let mut successor = ring.sender().unwrap();
    assert_eq!(successor.sent(), 1);
    successor.try_send(2).unwrap();
    assert_eq!(receiver.receive(soon()).unwrap(), 2);
    drop(receiver);
    assert!(matches!(successor.try_send(3), Err(SendError::Closed(3))));
    assert!(matches!(successor.send(3, soon()), Err(SendError::Closed(3))));
}

#[test]
fn a_deadline_ends_every_wait() {
    let ring = Ring::<u64>::anonymous(2).unwrap();
    let mut receiver = ring.receiver().unwrap();
    for policy in [WaitPolicy::Busy, WaitPolicy::Adaptive, WaitPolicy::Park] {
        receiver = receiver.with_policy(policy);
        assert!(matches!(receiver.receive(deadline_after(Duration::from_millis(30))), Err(ReceiveError::TimedOut)));
    }
}

#[test]
fn all_messages_come_in_order_whatever_the_policy() {
    const MESSAGES: u64 = 20_000;
    for policy in [WaitPolicy::Adaptive, WaitPolicy::Park] {
        let ring = Ring::<[u64; 3]>::anonymous(16).unwrap();
        let (sender, receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
        let (mut sender, mut receiver) = (sender.with_policy(policy), receiver.with_policy(policy));
        thread::scope(|scope| {
            scope.spawn(move || {
                for message in 0..MESSAGES {
                    sender.send([message; 3], soon()).unwrap();
                }
            });
            for expected in 0..MESSAGES {
                assert_eq!(receiver.receive(soon()).unwrap(), [expected; 3]);
            }
            assert!(matches!(receiver.receive(soon()), Err(ReceiveError::Closed)));
        });
    }
}

#[test]
fn frames_agree_with_a_queue() {
    let mut chance = fastrand::Rng::with_seed(7);
    for size in [64, 256, 4096] {
        let ring = ByteRing::anonymous(size).unwrap();
        let longest = ring.longest();
        let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
        let mut queue = VecDeque::new();
        let (mut sent, mut full) = (0, 0);
        for _ in 0..20_000 {
            if chance.bool() {
                let frame: Vec<u8> = (0..chance.usize(0..=longest)).map(|_| chance.u8(..)).collect();
                match sender.try_send(&frame) {
                    Ok(()) => {
                        queue.push_back(frame);
                        sent += 1;
                    }
                    Err(SendError::Full(())) => {
                        assert!(!queue.is_empty(), "the longest frame fits into an empty ring");
                        full += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            } else {
                match (receiver.try_receive(), queue.pop_front()) {
                    (Ok(frame), Some(expected)) => assert_eq!(*frame, *expected),
                    (Err(ReceiveError::Empty), None) => {}
                    (came, expected) => panic!("expected {expected:?}, came {came:?}"),
                }
            }
        }
        assert!(sent > 1000 && full > 100);
    }
}

#[test]
fn a_frame_that_can_never_fit_is_refused_before_it_waits() {
    let ring = ByteRing::anonymous(256).unwrap();
    let mut sender = ring.sender().unwrap();
    let too_long = vec![0; ring.longest() + 1];
    let Err(SendError::Failed { error: Error::Spec { .. }, .. }) = sender.send(&too_long, soon()) else {
        panic!("it cannot fit")
    };
    sender.send(&too_long[1..], soon()).unwrap();
}

#[test]
fn frames_of_two_threads_come_whole_and_in_order() {
    let ring = ByteRing::anonymous(1024).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..5000usize {
                let mut loan = sender.loan(number % 300, soon()).unwrap();
                #[allow(clippy::cast_possible_truncation, reason = "the lowest byte is meant")]
                loan.fill(number as u8);
                loan.send_first(number % 300 / 2);
            }
        });
        for number in 0..5000usize {
            let frame = receiver.receive(soon()).unwrap();
            assert_eq!(frame.len(), number % 300 / 2);
            #[allow(clippy::cast_possible_truncation, reason = "the lowest byte is meant")]
            let expected = number as u8;
            assert!(frame.iter().all(|byte| *byte == expected));
        }
    });
}

#[test]
fn a_retired_ring_ends_sending_and_receiving() {
    let ring = Ring::<u64>::anonymous(2).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    sender.try_send(1).unwrap();
    ring.segment().poison();
    assert!(matches!(sender.try_send(2), Err(SendError::Failed { message: 2, error: Error::Poisoned { .. } })));
    assert!(matches!(receiver.receive(soon()), Err(ReceiveError::Failed(Error::Poisoned { .. }))));
}

#[test]
fn another_type_is_refused() {
    let ring = Ring::<u64>::anonymous(2).unwrap();
    assert!(matches!(Ring::<u32>::of(ring.segment()), Err(Error::Refused { .. })));
    assert!(matches!(ByteRing::of(ring.segment()), Err(Error::Refused { .. })));
    assert!(matches!(Ring::<u64>::spec(3), Err(Error::Spec { .. })));
}

/// Random words over everything behind the header: each act is an error or gives some value, and none reads outside the segment.
#[test]
fn random_words_in_the_ring_are_errors_and_no_more() {
    use std::sync::atomic::{AtomicU64, Ordering};

    let mut chance = fastrand::Rng::with_seed(11);
    let (mut damaged, mut received) = (0, 0);
    for _ in 0..600 {
        let typed = Ring::<[u64; 7]>::anonymous(4).unwrap();
        let bytes = ByteRing::anonymous(256).unwrap();
        let mut ends = (typed.sender().unwrap(), typed.receiver().unwrap());
        let mut byte_ends = (bytes.sender().unwrap(), bytes.receiver().unwrap());
        for round in 0..40 {
            if round == 12 {
                for segment in [typed.segment(), bytes.segment()] {
                    let data = segment.data();
                    let words = data.records::<AtomicU64>(0, usize::try_from(data.len() / 8).unwrap()).unwrap();
                    for _ in 0..chance.usize(1..8) {
                        // Positions and headers rather than padding.
                        let place = *chance.choice(&[0, 4, 16, 32, 48, 64, 80, 81, 82, 83, 88, 96]).unwrap();
                        let value = *chance
                            .choice(&[0, 1, 7, 8, 1 << 32, 2 << 32 | 40, u64::MAX, 0x0123_4567_89ab_cdef])
                            .unwrap();
                        words[place].store(value, Ordering::Relaxed);
                    }
                }
            }
            match chance.u8(0..4) {
                0 => damaged += u32::from(matches!(ends.0.try_send([1; 7]), Err(SendError::Failed { .. }))),
                1 => match ends.1.try_receive() {
                    Ok(_) => received += 1,
                    Err(error) => damaged += u32::from(matches!(error, ReceiveError::Failed(_))),
                },
                2 => damaged += u32::from(matches!(byte_ends.0.try_send(&[2; 40]), Err(SendError::Failed { .. }))),
                _ => match byte_ends.1.try_receive() {
                    Ok(_) => received += 1,
                    Err(error) => damaged += u32::from(matches!(error, ReceiveError::Failed(_))),
                },
            }
        }
        drop((ends, byte_ends));
        // Whoever comes later finds an error, or positions that can be.
        let _ = (typed.sender().map(|_| ()), typed.receiver().map(|_| ()));
        let _ = (bytes.sender().map(|_| ()), bytes.receiver().map(|_| ()));
    }
    assert!(damaged > 200 && received > 1000, "{damaged} {received}");
}

#[test]
fn a_wait_for_several_ends_with_the_first_that_has_something() {
    use crosstie_shm::wait_any;

    let rings: Vec<_> = (0..3).map(|_| Ring::<u64>::anonymous(2).unwrap()).collect();
    let bytes = ByteRing::anonymous(64).unwrap();
    let mut receivers: Vec<_> = rings.iter().map(|ring| ring.receiver().unwrap()).collect();
    let mut frames = bytes.receiver().unwrap();
    let mut senders: Vec<_> = rings.iter().map(|ring| ring.sender().unwrap()).collect();
    let mut frame_sender = bytes.sender().unwrap();
    let [one, two, three] = &mut receivers[..] else { panic!("there are three") };
    assert_eq!(wait_any(&mut [&mut *one, &mut *two, &mut frames], at_once()).unwrap(), None);
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            for message in 0..300 {
                senders[message % 3].send(message as u64, soon()).unwrap();
            }
            frame_sender.send(b"the end", soon()).unwrap();
            (senders, frame_sender)
        });
        let (mut came, mut frames_came) = (0, 0);
        while came < 300 || frames_came == 0 {
            let found = wait_any(&mut [&mut *one, &mut *two, &mut *three, &mut frames], soon()).unwrap();
            let receiver = match found.expect("somebody sends") {
                0 => &mut *one,
                1 => &mut *two,
                2 => &mut *three,
                _ => {
                    assert_eq!(&*frames.try_receive().unwrap(), b"the end");
                    frames_came += 1;
                    continue;
                }
            };
            receiver.try_receive().unwrap();
            came += 1;
        }
        drop(sending.join().unwrap());
        assert_eq!(wait_any(&mut [one, two, three], soon()).unwrap(), Some(0), "who closed is told");
    });
    assert!(matches!(wait_any(&mut [], soon()), Err(Error::Spec { .. })));
}

/// Of several who open a name at once, one makes what is there, and all have the same.
#[test]
fn whoever_comes_first_makes_it() {
    let (_folder, directory) = place();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let ring = Ring::<u64>::open_or_create(&directory, &name("ring"), 4).unwrap();
                assert_eq!(ring.capacity(), 4);
                let bytes = ByteRing::open_or_create(&directory, &name("bytes"), 256).unwrap();
                assert_eq!(bytes.longest(), 112);
                let value = Latest::<u64>::open_or_create(&directory, &name("value"), 4).unwrap();
                let pool =
                    Pool::open_or_create(&directory, &name("pool"), &[SizeClass { bytes: 64, buffers: 2 }]).unwrap();
                assert_eq!(pool.free(), 2);
                drop((ring, bytes, value, pool));
            });
        }
    });
    assert_eq!(directory.list().unwrap().len(), 4);
    // How large it is made counts only for who makes it; what it is counts for all.
    assert_eq!(Ring::<u64>::open_or_create(&directory, &name("ring"), 64).unwrap().capacity(), 4);
    assert!(matches!(Ring::<i64>::open_or_create(&directory, &name("ring"), 4), Err(Error::Refused { .. })));
    assert!(matches!(ByteRing::open_or_create(&directory, &name("ring"), 256), Err(Error::Refused { .. })));
    assert!(matches!(Latest::<u64>::open_or_create(&directory, &name("pool"), 4), Err(Error::Refused { .. })));
    assert!(matches!(Ring::<u64>::open_or_create(&directory, &name("new"), 3), Err(Error::Spec { .. })));
}
