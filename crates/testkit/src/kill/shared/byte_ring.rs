//! A ring of numbered frames of many lengths.

use std::path::Path;
use std::time::Duration;

use crosstie_core::Deadline;
use crosstie_shm::{ByteReceiver, ByteRing, ByteSender, ReceiveError, SendError, deadline_after};

use super::super::{Fault, Seat, Structure, Tally, Victim};
use super::segment::{also_across, close, directory, name, said, when_seated};

/// One sender and one receiver. The ring does not count its frames, so the board gives each attempt to send one a number.
#[derive(Clone, Copy, Debug)]
pub struct Frames;

/// Small, so that frames wrap around its end often.
const BYTES: u32 = 4096;
/// Attempts to send; frames that were acknowledged; the next number that is new to the receivers; numbers that never came.
const ATTEMPTS: usize = 0;
const SENT: usize = 1;
const NEXT: usize = 2;
const MISSED: usize = 3;
/// How long an end waits before it looks whether it is called off.
const WAIT: Duration = Duration::from_millis(2);

impl Structure for Frames {
    fn name(&self) -> &'static str {
        "byte-ring"
    }

    fn parts(&self) -> usize {
        2
    }

    fn seats(&self) -> usize {
        2
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        let _: ByteRing = ByteRing::create(&directory(place)?, &name(), BYTES).map_err(said("making the ring"))?;
        Ok(())
    }

    fn join(&self, place: &Path, seat: Seat) -> Result<Box<dyn Victim>, String> {
        let ring = open(place)?;
        Ok(if seat.index.is_multiple_of(2) {
            let sender = when_seated(|| ring.sender())?;
            let _across = also_across(seat, || ring.receiver())?;
            Box::new(Sends { sender, frame: Vec::with_capacity(LONGEST), _across })
        } else {
            let receiver = when_seated(|| ring.receiver())?;
            let _across = also_across(seat, || ring.sender())?;
            Box::new(Receives { receiver, may_see_again: true, _across })
        })
    }

    fn check(&self, place: &Path, seat: Seat, tally: &Tally) -> Result<(), String> {
        let ring = open(place)?;
        let mut receiver = Receives { receiver: when_seated(|| ring.receiver())?, may_see_again: true, _across: None };
        while receiver.take(seat)? {}
        // What nobody sees any more is at the end, where no number shows that it is missing.
        let missed = seat.counted_by_all(MISSED) + (seat.counted_by_all(ATTEMPTS) - seat.counted_by_all(NEXT));
        let unsaid = seat.counted_by_all(ATTEMPTS) - seat.counted_by_all(SENT);
        if missed > unsaid {
            seat.fault(Fault::Lost, &format!("{missed} frames never came, and {unsaid} were not acknowledged"));
        }
        if unsaid > tally.deaths {
            seat.fault(
                Fault::Broken,
                &format!("{unsaid} attempts were not acknowledged, with {} deaths", tally.deaths),
            );
        }
        drop((receiver, ring));
        close(place, seat)
    }
}

fn open(place: &Path) -> Result<ByteRing, String> {
    ByteRing::open(&directory(place)?, &name()).map_err(said("opening the ring"))
}

/// The longest frame.
const LONGEST: usize = 600;

/// A frame that is its own number: in front, and as the seed of what follows.
fn fill(frame: &mut Vec<u8>, number: u64) {
    frame.clear();
    frame.extend(number.to_le_bytes());
    let length = usize::try_from(number * 83 % 590).expect("a small number");
    frame.extend((0..length).map(|at| pattern(number, at)));
}

fn pattern(number: u64, at: usize) -> u8 {
    (number.wrapping_mul(31).wrapping_add(at as u64) & 0xff) as u8
}

struct Sends {
    sender: ByteSender,
    frame: Vec<u8>,
    /// The other end, which does nothing.
    _across: Option<ByteReceiver>,
}

impl Victim for Sends {
    fn step(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        self.send(seat, deadline_after(WAIT)).map(drop)
    }

    fn look(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        while self.send(seat, deadline_after(Duration::ZERO))? {}
        Ok(())
    }
}

impl Sends {
    /// Sends one frame; false if there was no room in time.
    fn send(&mut self, seat: Seat, deadline: Deadline) -> Result<bool, String> {
        let number = seat.counted_by_all(ATTEMPTS);
        fill(&mut self.frame, number);
        let mut loan = match self.sender.loan(self.frame.len(), deadline) {
            Ok(loan) => loan,
            Err(SendError::TimedOut(()) | SendError::Closed(()) | SendError::PeerDied { .. }) => return Ok(false),
            Err(error) => return Err(format!("loaning: {error}")),
        };
        // Only from here on may it come to the receiver.
        seat.count(ATTEMPTS, 1);
        loan.copy_from_slice(&self.frame);
        loan.send();
        seat.count(SENT, 1);
        Ok(true)
    }
}

struct Receives {
    receiver: ByteReceiver,
    /// Its predecessor may have died with a frame in its hands, which it left in the ring.
    may_see_again: bool,
    /// The other end, which does nothing.
    _across: Option<ByteSender>,
}

impl Victim for Receives {
    fn step(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        match self.receiver.wait(deadline_after(WAIT)) {
            Ok(()) => self.take(seat).map(drop),
            Err(
                ReceiveError::TimedOut | ReceiveError::Empty | ReceiveError::Closed | ReceiveError::PeerDied { .. },
            ) => Ok(()),
            Err(error) => Err(format!("waiting for a frame: {error}")),
        }
    }

    /// Half of what fits at least, and a few are left.
    fn look(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        (0..6).try_for_each(|_| self.take(seat).map(drop))
    }
}

impl Receives {
    /// Takes one frame; false if there is none.
    fn take(&mut self, seat: Seat) -> Result<bool, String> {
        let frame = match self.receiver.try_receive() {
            Ok(frame) => frame,
            Err(ReceiveError::Empty | ReceiveError::Closed) => return Ok(false),
            Err(error) => return Err(format!("receiving: {error}")),
        };
        let Some((head, rest)) = frame.split_first_chunk::<8>() else {
            seat.fault(Fault::Torn, &format!("a frame of {} bytes", frame.len()));
            return Ok(true);
        };
        let number = u64::from_le_bytes(*head);
        let is_whole = rest.len() as u64 == number.wrapping_mul(83) % 590
            && rest.iter().enumerate().all(|(at, byte)| *byte == pattern(number, at));
        let next = seat.counted_by_all(NEXT);
        let sees_again = std::mem::take(&mut self.may_see_again);
        if !is_whole {
            seat.fault(Fault::Torn, &format!("frame {number} of {} bytes has others in it", frame.len()));
        } else if number >= next {
            seat.count(NEXT, number + 1 - next);
            seat.count(MISSED, number - next);
        } else if !(sees_again && number + 1 == next) {
            seat.fault(Fault::Doubled, &format!("expected frame {next}, came {number}"));
        }
        Ok(true)
    }
}
