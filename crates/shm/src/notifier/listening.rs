//! A participation that the thread listens for, and who has armed in it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::alarm::Alarm;
use crate::{
    participant::{Participant, WeakParticipant},
    segment::Segment,
    sync::Ordering::Acquire,
    wait::{Bell, Heard, Listener},
};

/// One participation of this process.
pub(super) struct Listening {
    pub(super) participant: WeakParticipant,
    slot: u32,
    /// Keeps the words mapped on which the thread sleeps.
    segment: Segment,
    armed: Mutex<Vec<Entry>>,
    /// The membership that the thread saw last.
    members: Mutex<u32>,
}

/// One object that can be armed.
struct Entry {
    id: u64,
    bit: u32,
    alarm: Option<Alarm>,
}

impl Listening {
    pub(super) fn new(participant: &Participant) -> Self {
        Self {
            participant: participant.downgrade(),
            slot: participant.id().slot,
            segment: participant.segment().clone(),
            armed: Mutex::default(),
            // Before anything is armed, thus before whoever arms looks for the last time: what changes after that look is told.
            members: Mutex::new(participant.segment().membership().load(Acquire)),
        }
    }

    /// The words of this participation. What is returned lives as long as `self`, which keeps the memory.
    pub(super) fn listener(&self) -> Listener<'_> {
        let slot = self.segment.participant(self.slot).expect("it was there when we joined");
        Listener::new(Bell::of(slot), self.segment.membership(), *self.members())
    }

    /// The thread stops listening with what [`Self::listener`] gave it, and may begin again.
    pub(super) fn stop(&self, listener: &Listener<'_>) {
        *self.members() = listener.stop();
    }

    fn members(&self) -> MutexGuard<'_, u32> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object that can be armed from now on, under the id that is returned.
    pub(super) fn add(&self, bit: u32) -> u64 {
        let mut armed = self.lock();
        let id = armed.last().map_or(0, |entry| entry.id + 1);
        armed.push(Entry { id, bit, alarm: None });
        id
    }

    pub(super) fn remove(&self, id: u64) {
        let mut armed = self.lock();
        let removed = armed.binary_search_by_key(&id, |entry| entry.id).map(|at| armed.remove(at));
        // Without the lock: with a waker may go a whole task, and with that others who armed here.
        drop(armed);
        drop(removed);
    }

    /// Sets or takes back whom to tell.
    pub(super) fn set(&self, id: u64, alarm: Option<Alarm>) {
        let mut armed = self.lock();
        let place = armed.binary_search_by_key(&id, |entry| entry.id);
        let replaced = place.map(|at| std::mem::replace(&mut armed[at].alarm, alarm));
        // Without the lock, as in `remove`.
        drop(armed);
        drop(replaced);
    }

    pub(super) fn is_armed(&self) -> bool {
        self.lock().iter().any(|entry| entry.alarm.is_some())
    }

    /// Tells everybody whom it concerns.
    pub(super) fn tell(&self, heard: &Heard) {
        let mut told = Vec::new();
        for entry in self.lock().iter_mut() {
            if heard.is_for(entry.bit) {
                told.extend(entry.alarm.take());
            }
        }
        // Without the lock: a waker may be anybody's code.
        told.into_iter().for_each(Alarm::ring);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("segment", &self.segment).field("slot", &self.slot).finish_non_exhaustive()
    }
}
