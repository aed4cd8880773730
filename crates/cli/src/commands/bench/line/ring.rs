//! Frames in two rings of shared memory, one for each way.

use crosstie::shm::{ByteReceiver, ByteRing, ByteSender, Directory, ReceiveError, SegmentName, deadline_after, remove};
use crosstie_core::{Endpoint, Error, Kind, Target};

use super::end::{Line, PATIENCE};

/// What each of the two holds.
const CAPACITY: u32 = 1 << 20;

struct Frames {
    to: ByteSender,
    from: ByteReceiver,
    /// Present with whoever has made them.
    _made: Option<Made>,
}

impl Line for Frames {
    fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.to.send(message, deadline_after(PATIENCE)).map_err(failed)
    }

    fn receive(&mut self, message: &mut [u8]) -> Result<bool, Error> {
        let frame = self.from.receive(deadline_after(PATIENCE)).map_err(|error: ReceiveError| failed(error))?;
        message.copy_from_slice(&frame);
        Ok(true)
    }

    fn max_len(&self) -> usize {
        CAPACITY as usize / 4
    }
}

/// The segments, removed in the end.
struct Made {
    directory: Directory,
    names: [SegmentName; 2],
}

impl Drop for Made {
    fn drop(&mut self) {
        for name in &self.names {
            // What cannot be removed is left to `crosstie shm gc`.
            let _ = remove(&self.directory, name, true);
        }
    }
}

/// Both rings, before the far end has opened them.
pub(crate) struct Rings {
    made: Made,
    there: ByteRing,
    back: ByteRing,
}

pub(super) fn create(endpoint: &Endpoint) -> Result<Rings, Error> {
    let directory = Directory::of_user().map_err(failed)?;
    let names = names(endpoint)?;
    let there = ByteRing::create(&directory, &names[0], CAPACITY).map_err(failed)?;
    let made = Made { directory, names };
    let back = ByteRing::create(&made.directory, &made.names[1], CAPACITY).map_err(failed)?;
    Ok(Rings { made, there, back })
}

impl Rings {
    pub(super) fn near(self) -> Result<Box<dyn Line>, Error> {
        let to = self.there.sender().map_err(failed)?;
        let from = self.back.receiver().map_err(failed)?;
        Ok(Box::new(Frames { to, from, _made: Some(self.made) }))
    }
}

pub(super) fn far(endpoint: &Endpoint) -> Result<Box<dyn Line>, Error> {
    let directory = Directory::of_user().map_err(failed)?;
    let [there, back] = names(endpoint)?;
    let from = ByteRing::open(&directory, &there).and_then(|ring| ring.receiver()).map_err(failed)?;
    let to = ByteRing::open(&directory, &back).and_then(|ring| ring.sender()).map_err(failed)?;
    Ok(Box::new(Frames { to, from, _made: None }))
}

fn names(endpoint: &Endpoint) -> Result<[SegmentName; 2], Error> {
    let Target::Shm { name } = endpoint.target() else {
        return Err(Error::new(Kind::InvalidInput, format!("expected shm:NAME for a ring, found '{endpoint}'")));
    };
    let parse = |suffix: &str| format!("{name}.{suffix}").parse().map_err(failed);
    Ok([parse("there")?, parse("back")?])
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Io, error.to_string())
}
