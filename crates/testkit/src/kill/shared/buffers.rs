//! Loaned buffers that are given away by tokens through a ring: whole while they are held, and all free when everyone is gone.

use std::path::Path;
use std::time::Duration;

use crosstie_shm::{
    Error, Expect, Life, ParticipantId, ParticipantState, Pool, PoolSample, ReceiveError, Receiver, Ring, SegmentName,
    SendError, Sender, SizeClass, Token, deadline_after,
};

use super::super::{Fault, Seat, Structure, Tally, Victim};
use super::segment::{also_across, close, close_named, directory, name, reap_until, said, when_seated};

/// One who loans, writes and gives away; one who is given, reads and holds some of them for a while.
#[derive(Clone, Copy, Debug)]
pub struct Buffers;

const CLASSES: [SizeClass; 2] = [SizeClass { bytes: 256, buffers: 6 }, SizeClass { bytes: 1024, buffers: 2 }];
const ALL: u32 = 8;
/// How long is waited for a buffer or a token before an end looks whether it is called off.
const WAIT: Duration = Duration::from_millis(2);
/// Buffers that the receiver holds at a time.
const HELD: usize = 3;

impl Structure for Buffers {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn parts(&self) -> usize {
        2
    }

    fn seats(&self) -> usize {
        2
    }

    fn set_up(&self, place: &Path) -> Result<(), String> {
        let _: Pool = Pool::create(&directory(place)?, &name(), &CLASSES).map_err(said("making the pool"))?;
        let _: Ring<Token> = Ring::create(&directory(place)?, &tokens(), 8).map_err(said("making the ring"))?;
        Ok(())
    }

    fn join(&self, place: &Path, seat: Seat) -> Result<Box<dyn Victim>, String> {
        let pool = open(place)?;
        let ring = Ring::<Token>::open(&directory(place)?, &tokens()).map_err(said("opening the ring"))?;
        Ok(if seat.index.is_multiple_of(2) {
            let tokens = when_seated(|| ring.sender())?;
            // Somebody to give to, who lets it lie.
            let _across = match also_across(seat, || ring.receiver())? {
                Some(receiver) => Some((open(place)?, receiver)),
                None => None,
            };
            Box::new(Gives { pool, tokens, _across })
        } else {
            let tokens = when_seated(|| ring.receiver())?;
            // Somebody who gives, each time just before it is taken.
            let across = match also_across(seat, || ring.sender())? {
                Some(tokens) => Some(Gives { pool: open(place)?, tokens, _across: None }),
                None => None,
            };
            Box::new(Takes { pool, tokens, held: Vec::new(), authors: Vec::new(), across })
        })
    }

    fn check(&self, place: &Path, seat: Seat, _tally: &Tally) -> Result<(), String> {
        let pool = open(place)?;
        reap_until(pool.participant(), || pool.free() == ALL)?;
        if pool.free() != ALL {
            seat.fault(Fault::LeftBehind, &format!("{} buffers of {ALL} are free, and everyone is gone", pool.free()));
        }
        drop(pool);
        close(place, seat)?;
        close_named(place, seat, &tokens(), &Expect::any())
    }
}

fn open(place: &Path) -> Result<Pool, String> {
    Pool::open(&directory(place)?, &name()).map_err(said("opening the pool"))
}

fn tokens() -> SegmentName {
    "tokens".parse().expect("a name of letters")
}

struct Gives {
    pool: Pool,
    tokens: Sender<Token>,
    _across: Option<(Pool, Receiver<Token>)>,
}

impl Victim for Gives {
    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        let len = chance.usize(16..900);
        let Some(mut loan) = self.pool.loan(len, deadline_after(WAIT)).map_err(said("loaning"))? else { return Ok(()) };
        let seal = chance.u8(..);
        loan.fill(seal);
        seat.dwell(chance);
        if loan.iter().any(|byte| *byte != seal) {
            seat.fault(Fault::GrantedTwice, "somebody else wrote into a loaned buffer");
        }
        let Some(to) = others(&self.pool).pop() else { return Ok(()) };
        let token = match loan.give(to) {
            Ok(token) => token,
            Err(Error::Loan { .. }) => return Ok(()),
            Err(error) => return Err(format!("giving: {error}")),
        };
        match self.tokens.send(token, deadline_after(WAIT)) {
            // What is not sent stays with a receiver that does not know of it, until it settles or ends.
            Ok(()) | Err(SendError::TimedOut(_) | SendError::Closed(_) | SendError::PeerDied { .. }) => Ok(()),
            Err(error) => Err(format!("sending a token: {error}")),
        }
    }
}

struct Takes {
    pool: Pool,
    tokens: Receiver<Token>,
    held: Vec<PoolSample>,
    /// Those that may have given something.
    authors: Vec<ParticipantId>,
    across: Option<Gives>,
}

impl Victim for Takes {
    fn step(&mut self, seat: Seat, chance: &mut fastrand::Rng) -> Result<(), String> {
        if let Some(across) = &mut self.across {
            across.step(seat, chance)?;
        }
        self.authors.extend(others(&self.pool));
        self.authors.sort_unstable_by_key(|author| (author.slot, author.generation));
        self.authors.dedup();
        let token = match self.tokens.receive(deadline_after(WAIT)) {
            Ok(token) => token,
            Err(
                ReceiveError::TimedOut | ReceiveError::Empty | ReceiveError::Closed | ReceiveError::PeerDied { .. },
            ) => {
                return self.settle();
            }
            Err(error) => return Err(format!("receiving a token: {error}")),
        };
        match self.pool.accept(token) {
            Ok(sample) => self.held.push(sample),
            // It was given to a receiver that has died since.
            Err(Error::Loan { .. }) => return Ok(()),
            Err(error) => return Err(format!("accepting: {error}")),
        }
        seat.dwell(chance);
        for sample in &self.held {
            let seal = sample.first().copied().unwrap_or_default();
            if sample.iter().any(|byte| *byte != seal) {
                seat.fault(Fault::Torn, &format!("a buffer of {} bytes that was given has others in it", sample.len()));
            }
        }
        if self.held.len() >= HELD {
            self.held.swap_remove(chance.usize(..HELD));
        }
        Ok(())
    }
}

impl Takes {
    /// Returns what the dead gave and did not tell of. All their tokens have come: the ring is empty.
    fn settle(&mut self) -> Result<(), String> {
        for author in std::mem::take(&mut self.authors) {
            if self.pool.participant().life(author).map_err(said("asking who lives"))? == Life::Alive {
                self.authors.push(author);
            } else {
                self.pool.settle(author).map_err(said("settling"))?;
            }
        }
        Ok(())
    }
}

/// Everyone else who takes part in the pool, as far as the table says.
fn others(pool: &Pool) -> Vec<ParticipantId> {
    use std::sync::atomic::Ordering::Acquire;

    let slots = 1..=pool.segment().header().participants;
    let live = slots.filter(|slot| *slot != pool.id().slot).filter_map(|slot| {
        let place = pool.segment().participant(slot)?;
        let generation = place.generation.load(Acquire);
        (place.state() == ParticipantState::Live).then_some(ParticipantId { slot, generation })
    });
    live.collect()
}
