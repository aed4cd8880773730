//! One object of this process that can be armed.

use std::sync::Arc;

use crosstie_sys::Incarnation;

use super::{alarm::Alarm, listening::Listening, thread};
use crate::{error::Result, participant::Participant};

/// Where an object says whom to tell. Nothing is set up before it is armed for the first time.
#[derive(Debug, Default)]
pub(crate) struct Armer(Option<Place>);

#[derive(Debug)]
struct Place {
    listening: Arc<Listening>,
    id: u64,
    incarnation: Incarnation,
}

impl Armer {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// From here on `alarm` rings once when `bit` is set for this process, in place of what was armed before. The caller then puts the object's flag
    /// up, and looks at the object after that.
    pub(crate) fn arm(&mut self, participant: &Participant, bit: u32, alarm: Alarm) -> Result<()> {
        let place = match &mut self.0 {
            Some(place) => place,
            none => {
                let incarnation = Incarnation::current()
                    .map_err(crate::error::Error::system("telling this process from its children"))?;
                let listening = thread::listening(participant)?;
                let id = listening.add(bit);
                none.insert(Place { listening, id, incarnation })
            }
        };
        place.listening.set(place.id, Some(alarm));
        Ok(())
    }

    /// Nobody is told any more.
    pub(crate) fn disarm(&self) {
        if let Some(place) = &self.0 {
            place.listening.set(place.id, None);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // In the child of a fork it is the parent's, and whoever had the lock may not be there.
        if self.incarnation.is_current() {
            self.listening.remove(self.id);
        }
    }
}
