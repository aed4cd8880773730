//! Our pool: a buffer is loaned, eight bytes of it are written, it is given, read, and returned; and the same back.

use crosstie_core::Deadline;
use crosstie_shm::{Directory, ParticipantId, Pool, SegmentName, SizeClass, Token, WaitPolicy};

use crate::{
    case::{Failure, Place, Rounds, Side, timed},
    rings::pair,
};

/// There and back with buffers of so many bytes.
pub(crate) fn round_trip<const BYTES: usize>(place: &Place<'_>) -> Result<Rounds, Failure> {
    let directory = Directory::at(place.folder)?;
    let name: SegmentName = "pool".parse()?;
    let pool = match place.side {
        Side::Measurer => Pool::create(&directory, &name, &[SizeClass { bytes: BYTES as u64, buffers: 8 }])?,
        Side::Peer => Pool::open(&directory, &name)?,
    };
    let (mut sender, mut receiver) = pair::<Token>(place, WaitPolicy::Busy)?;
    let side = place.side;
    // Slots are given from 1 on, and each joined once.
    let other = ParticipantId { slot: if side == Side::Measurer { 2 } else { 1 }, generation: 1 };
    Ok(Box::new(move |count| {
        // Whoever has taken its end of the ring has opened the pool before.
        while receiver.sender().is_none() {
            std::hint::spin_loop();
        }
        let send = |number: u64, sender: &mut crosstie_shm::Sender<Token>| -> Result<(), Failure> {
            let mut loan = pool.try_loan(BYTES)?.ok_or("the other returns no buffers")?;
            loan[..8].copy_from_slice(&number.to_le_bytes());
            Ok(sender.send(loan.give(other)?, Deadline::NEVER)?)
        };
        timed(count, |number| {
            if side == Side::Measurer {
                send(number, &mut sender)?;
            }
            let sample = pool.accept(receiver.receive(Deadline::NEVER)?)?;
            if sample[..8] != number.to_le_bytes() {
                return Err("another buffer came".into());
            }
            drop(sample);
            if side == Side::Peer {
                send(number, &mut sender)?;
            }
            Ok(())
        })
    }))
}
