//! A ring of numbered messages: torn, lost, doubled or out of order shows in the numbers.

use std::path::Path;
use std::time::Duration;

use crosstie_shm::{ReceiveError, Receiver, Ring, SendError, Sender, deadline_after};

use super::super::{Fault, Seat, Structure, Tally, Victim};
use super::segment::{also_across, close, directory, name, said, when_seated};

/// One sender and one receiver; each message is its own number, in every word.
#[derive(Clone, Copy, Debug)]
pub struct Slots;

type Message = [u64; 6];

/// Small, so that it is full and empty often.
const CAPACITY: u32 = 32;
/// How full it is when somebody is stepped through, who is to find what it takes, and room for what it sends.
const HALF: u64 = 16;
/// Messages that came to a process, and messages that a process has sent, by its own count.
const RECEIVED: usize = 0;
const SENT: usize = 1;
/// How long an end waits before it looks whether it is called off.
const WAIT: Duration = Duration::from_millis(2);

impl Structure for Slots {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn parts(&self) -> usize {
        2
    }

    fn seats(&self) -> usize {
        2
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        let ring = Ring::<Message>::create(&directory(place)?, &name(), CAPACITY).map_err(said("making the ring"))?;
        // Something is in it, so that whoever is stepped through never has to wait.
        let mut sender = ring.sender().map_err(said("sending"))?;
        (0..HALF).try_for_each(|number| sender.try_send([number; 6])).map_err(said("sending"))
    }

    fn join(&self, place: &Path, seat: Seat) -> Result<Box<dyn Victim>, String> {
        let ring = open(place)?;
        Ok(if seat.index.is_multiple_of(2) {
            Box::new(Sends(when_seated(|| ring.sender())?, also_across(seat, || ring.receiver())?))
        } else {
            Box::new(Receives(when_seated(|| ring.receiver())?, also_across(seat, || ring.sender())?))
        })
    }

    fn check(&self, place: &Path, seat: Seat, tally: &Tally) -> Result<(), String> {
        let ring = open(place)?;
        let (sent, mut receiver) = (when_seated(|| ring.sender())?.sent() - HALF, when_seated(|| ring.receiver())?);
        let (taken, received) = (receiver.taken(), seat.counted_by_all(RECEIVED));
        while take(&mut receiver, seat)? {}
        let acknowledged = seat.counted_by_all(SENT);
        // What was sent or taken by one who died before it could say so: a batch at most. One that was looked at and not taken is seen again.
        let unsaid = tally.deaths * BATCH;
        if sent < acknowledged || receiver.taken() != sent + HALF {
            seat.fault(
                Fault::Lost,
                &format!("{acknowledged} were acknowledged, {sent} sent, {} taken", receiver.taken()),
            );
        }
        if sent > acknowledged + unsaid {
            seat.fault(Fault::Doubled, &format!("{acknowledged} were acknowledged, {sent} sent"));
        }
        if taken > received + unsaid || taken + tally.deaths < received {
            seat.fault(Fault::Lost, &format!("{received} were received, {taken} taken"));
        }
        drop((receiver, ring));
        close(place, seat)
    }
}

fn open(place: &Path) -> Result<Ring<Message>, String> {
    Ring::open(&directory(place)?, &name()).map_err(said("opening the ring"))
}

/// Messages that are sent or taken at a time, at most.
const BATCH: u64 = 3;

/// And the other end, which does nothing.
struct Sends(Sender<Message>, #[allow(dead_code, reason = "it is there to be seen")] Option<Receiver<Message>>);

impl Victim for Sends {
    fn step(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        let Self(sender, _) = self;
        // One by one, waiting for room; several at once; one that is written where it lies.
        let number = sender.sent();
        match sender.send([number; 6], deadline_after(WAIT)) {
            Ok(()) => seat.count(SENT, 1),
            Err(SendError::TimedOut(_) | SendError::Closed(_) | SendError::PeerDied { .. }) => return Ok(()),
            Err(error) => return Err(format!("sending: {error}")),
        }
        let number = sender.sent();
        match sender.try_send_many(&[[number; 6], [number + 1; 6], [number + 2; 6]]) {
            Ok(sent) => seat.count(SENT, sent as u64),
            Err(SendError::Closed(())) => return Ok(()),
            Err(error) => return Err(format!("sending several: {error}")),
        }
        let number = sender.sent();
        match sender.try_loan() {
            Ok(Some(mut loan)) => {
                *loan = [number; 6];
                loan.send().map_err(said("sending a loan"))?;
                seat.count(SENT, 1);
            }
            Ok(None) | Err(SendError::Closed(())) => {}
            Err(error) => return Err(format!("loaning: {error}")),
        }
        Ok(())
    }

    fn look(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        fill(&mut self.0, seat)
    }
}

/// Fills it up.
fn fill(sender: &mut Sender<Message>, seat: Seat) -> Result<(), String> {
    loop {
        let number = sender.sent();
        match sender.try_send([number; 6]) {
            Ok(()) => seat.count(SENT, 1),
            Err(SendError::Full(_) | SendError::Closed(_)) => return Ok(()),
            Err(error) => return Err(format!("filling the ring: {error}")),
        }
    }
}

/// And the other end, which does nothing.
struct Receives(Receiver<Message>, #[allow(dead_code, reason = "it is there to be seen")] Option<Sender<Message>>);

impl Victim for Receives {
    fn step(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        let Self(receiver, _) = self;
        // One by one, waiting for it; one that is looked at where it lies; several at once.
        let expected = receiver.taken();
        match receiver.receive(deadline_after(WAIT)) {
            Ok(message) => judge(seat, expected, message),
            Err(
                ReceiveError::TimedOut | ReceiveError::Empty | ReceiveError::Closed | ReceiveError::PeerDied { .. },
            ) => return Ok(()),
            Err(error) => return Err(format!("receiving: {error}")),
        }
        if !take(receiver, seat)? {
            return Ok(());
        }
        let expected = receiver.taken();
        let mut messages = Vec::with_capacity(3);
        match receiver.try_receive_many(&mut messages, 3) {
            Ok(_) => (expected..).zip(messages).for_each(|(expected, message)| judge(seat, expected, message)),
            Err(ReceiveError::Empty | ReceiveError::Closed) => {}
            Err(error) => return Err(format!("receiving several: {error}")),
        }
        Ok(())
    }

    fn look(&mut self, seat: Seat, _chance: &mut fastrand::Rng) -> Result<(), String> {
        (0..HALF).try_for_each(|_| take(&mut self.0, seat).map(drop))
    }
}

/// Takes one message that it has looked at where it lies; false if there is none.
fn take(receiver: &mut Receiver<Message>, seat: Seat) -> Result<bool, String> {
    let expected = receiver.taken();
    match receiver.peek() {
        Ok(sample) => {
            judge(seat, expected, *sample);
            Ok(true)
        }
        Err(ReceiveError::Empty | ReceiveError::Closed) => Ok(false),
        Err(error) => Err(format!("looking at a message: {error}")),
    }
}

fn judge(seat: Seat, expected: u64, message: Message) {
    let [number, ..] = message;
    if message.iter().any(|word| *word != number) {
        seat.fault(Fault::Torn, &format!("message {expected} has the words {message:?}"));
    } else if number != expected {
        let fault = if number > expected { Fault::Lost } else { Fault::Doubled };
        seat.fault(fault, &format!("expected message {expected}, came {number}"));
    }
    seat.count(RECEIVED, 1);
}
