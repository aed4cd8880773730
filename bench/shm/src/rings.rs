//! Our rings: there and back, and one way as fast as it goes.

use crosstie_core::Deadline;
use crosstie_shm::{ByteRing, Directory, Receiver, Ring, SegmentName, Sender, WaitPolicy};

use crate::case::{Failure, Place, Rounds, Side, timed};

const SLOTS: u32 = 1024;

fn names() -> Result<[SegmentName; 2], Failure> {
    Ok(["there".parse()?, "back".parse()?])
}

/// The two rings of a round trip, from one side.
pub(crate) fn pair<T: crosstie_shm::ShmSafe>(
    place: &Place<'_>,
    policy: WaitPolicy,
) -> Result<(Sender<T>, Receiver<T>), Failure> {
    let directory = Directory::at(place.folder)?;
    let [there, back] = names()?;
    let (sender, receiver) = match place.side {
        Side::Measurer => {
            let there = Ring::create(&directory, &there, SLOTS)?.sender()?;
            (there, Ring::create(&directory, &back, SLOTS)?.receiver()?)
        }
        Side::Peer => {
            let back = Ring::open(&directory, &back)?.sender()?;
            (back, Ring::open(&directory, &there)?.receiver()?)
        }
    };
    Ok((sender.with_policy(policy), receiver.with_policy(policy)))
}

fn there_and_back<const WORDS: usize>(place: &Place<'_>, policy: WaitPolicy) -> Result<Rounds, Failure> {
    let (mut sender, mut receiver) = pair::<[u64; WORDS]>(place, policy)?;
    let side = place.side;
    Ok(Box::new(move |count| {
        timed(count, |number| {
            if side == Side::Measurer {
                sender.send([number; WORDS], Deadline::NEVER)?;
            }
            let message = receiver.receive(Deadline::NEVER)?;
            if message != [number; WORDS] {
                return Err(format!("expected {number}, came {message:?}").into());
            }
            if side == Side::Peer {
                sender.send(message, Deadline::NEVER)?;
            }
            Ok(())
        })
    }))
}

/// There and back, both looking all the time.
pub(crate) fn round_trip<const WORDS: usize>(place: &Place<'_>) -> Result<Rounds, Failure> {
    there_and_back::<WORDS>(place, WaitPolicy::Busy)
}

/// There and back, both sleeping.
pub(crate) fn parked(place: &Place<'_>) -> Result<Rounds, Failure> {
    there_and_back::<7>(place, WaitPolicy::Park)
}

/// There and back in a ring of bytes.
pub(crate) fn bytes_round_trip(place: &Place<'_>) -> Result<Rounds, Failure> {
    let directory = Directory::at(place.folder)?;
    let [there, back] = names()?;
    let (sender, receiver) = match place.side {
        Side::Measurer => {
            let there = ByteRing::create(&directory, &there, 1 << 16)?.sender()?;
            (there, ByteRing::create(&directory, &back, 1 << 16)?.receiver()?)
        }
        Side::Peer => {
            let back = ByteRing::open(&directory, &back)?.sender()?;
            (back, ByteRing::open(&directory, &there)?.receiver()?)
        }
    };
    let (mut sender, mut receiver) = (sender.with_policy(WaitPolicy::Busy), receiver.with_policy(WaitPolicy::Busy));
    let side = place.side;
    Ok(Box::new(move |count| {
        timed(count, |number| {
            let expected = [u8::try_from(number % 251)?; 64];
            if side == Side::Measurer {
                sender.send(&expected, Deadline::NEVER)?;
            }
            if *receiver.receive(Deadline::NEVER)? != expected {
                return Err("another message came".into());
            }
            if side == Side::Peer {
                sender.send(&expected, Deadline::NEVER)?;
            }
            Ok(())
        })
    }))
}

/// The measurer sends, the peer receives, one at a time; each round ends when the peer has said that it has all.
pub(crate) fn one_way<const WORDS: usize>(place: &Place<'_>) -> Result<Rounds, Failure> {
    let (mut sender, mut receiver) = pair::<[u64; WORDS]>(place, WaitPolicy::Busy)?;
    let side = place.side;
    Ok(Box::new(move |count| {
        let took = timed(count, |number| {
            if side == Side::Measurer {
                sender.send([number; WORDS], Deadline::NEVER)?;
            } else if receiver.receive(Deadline::NEVER)? != [number; WORDS] {
                return Err("another message came".into());
            }
            Ok(())
        });
        if side == Side::Measurer {
            receiver.receive(Deadline::NEVER)?;
        } else {
            sender.send([0; WORDS], Deadline::NEVER)?;
        }
        took
    }))
}

/// The same in batches of 16.
pub(crate) fn one_way_in_batches<const WORDS: usize>(place: &Place<'_>) -> Result<Rounds, Failure> {
    const BATCH: u64 = 16;
    let (mut sender, mut receiver) = pair::<[u64; WORDS]>(place, WaitPolicy::Busy)?;
    let side = place.side;
    let mut came = Vec::new();
    Ok(Box::new(move |count| {
        let start = std::time::Instant::now();
        let mut number = 0;
        while number < count {
            if side == Side::Measurer {
                let batch: [_; BATCH as usize] = std::array::from_fn(|at| [number + at as u64; WORDS]);
                let mut rest = &batch[..(count - number).min(BATCH) as usize];
                number += rest.len() as u64;
                while !rest.is_empty() {
                    let sent = sender.try_send_many(rest)?;
                    rest = &rest[sent..];
                }
            } else {
                came.clear();
                receiver.wait(Deadline::NEVER)?;
                receiver.try_receive_many(&mut came, BATCH as usize)?;
                for message in &came {
                    if *message != [number; WORDS] {
                        return Err("another message came".into());
                    }
                    number += 1;
                }
            }
        }
        let took = start.elapsed();
        if side == Side::Measurer {
            receiver.receive(Deadline::NEVER)?;
        } else {
            sender.send([0; WORDS], Deadline::NEVER)?;
        }
        Ok(took)
    }))
}
