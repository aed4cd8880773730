//! The thread that sees other processes die, so that those who wait need not look.
//!
//! It is started when a thread of this process first waits long, and holds a pidfd of everyone in the segments that it waits in. A
//! pidfd wakes, it never decides: when one says that its process has ended, the participant is reaped, if the lock on its byte is free. The
//! reaping frees what the dead one held and changes the membership, on which all who wait sleep as well.
//!
//! Who cannot be watched, because it is in another PID namespace or there is no descriptor left, is looked at every four milliseconds by who waits.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, TryLockError},
    thread,
    time::Duration,
};

use crosstie_core::Deadline;
use crosstie_sys::{Event, Incarnation, Interest, Poller, ProcessHandle, process, uncounted};

use crate::{
    clock,
    layout::{ParticipantId, ParticipantState},
    participant::{Life, Participant, WeakParticipant},
    sync::Ordering::Relaxed,
};

/// How often those are looked at who cannot be watched, and those whose end the kernel has told before it let go of their lock.
const TICK: Duration = Duration::from_millis(4);
/// How long a watched sleep lasts at most. A process that becomes another program lives on, so that no pidfd tells of it: it is seen within this time. To watch
/// the segment's file for its closing (inotify) would tell at once, but a process that has such a watch takes some 20 ms to die, for the kernel waits for
/// readers of its lists, and all its locks would be told that much later.
const LONGEST: Duration = Duration::from_secs(1);

/// The watcher of this process. In a child of fork the thread is gone, so it starts its own.
static WATCHER: Mutex<Option<(Incarnation, Arc<Watcher>)>> = Mutex::new(None);

/// One participation that is watched over, for one waiting thread.
pub(super) struct Watching {
    participant: Participant,
    watcher: Option<Arc<Watcher>>,
}

/// Begins to watch over the segment of `participant`.
pub(super) fn begin(participant: &Participant) -> Watching {
    Watching { participant: participant.clone(), watcher: watcher() }
}

/// True if the death of everyone who takes part now in the segment of `participant` changes its membership without anybody's looking.
pub(crate) fn is_watched(participant: &Participant) -> bool {
    watcher().is_some_and(|watcher| watcher.watch_all(participant).unwrap_or(false))
}

impl Watching {
    /// Makes sure that the death of everyone who takes part now will be seen; until when to sleep at most. To be called before each
    /// sleep, after the membership was read.
    pub(super) fn look(&self) -> Deadline {
        let is_all = self.watcher.as_ref().is_some_and(|watcher| watcher.watch_all(&self.participant).unwrap_or(false));
        clock::deadline_after(if is_all { LONGEST } else { TICK })
    }
}

fn watcher() -> Option<Arc<Watcher>> {
    let now = Incarnation::current().ok()?;
    // Whoever forked may have left it locked for ever in this process; then there is no watcher, and its waiters look for themselves.
    let mut known = without_waiting(&WATCHER)?;
    match &*known {
        Some((incarnation, watcher)) if *incarnation == now => Some(watcher.clone()),
        _ => {
            let watcher = Watcher::start().ok()?;
            *known = Some((now, watcher.clone()));
            Some(watcher)
        }
    }
}

struct Watcher {
    poller: Poller,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    last_token: u64,
    watched: Vec<Watched>,
}

/// One participant of a segment that this process takes part in.
struct Watched {
    by: WeakParticipant,
    who: ParticipantId,
    token: u64,
    /// Gone once it has told of the end.
    handle: Option<ProcessHandle>,
}

impl Watcher {
    fn start() -> io::Result<Arc<Self>> {
        let poller = Poller::new()?;
        let watcher = Arc::new(Self { poller, list: Mutex::default() });
        let own = watcher.clone();
        let thread = thread::Builder::new().name("crosstie-watch".to_owned());
        uncounted(|| thread.spawn(move || own.run()))?;
        Ok(watcher)
    }

    /// True if everyone else in the segment of `participant` is watched.
    fn watch_all(&self, participant: &Participant) -> io::Result<bool> {
        let Some(mut list) = without_waiting(&self.list) else { return Ok(false) };
        let segment = participant.segment();
        // Who left, or was recovered, may live on for long, and its descriptor would stay as long as that; and so would all those that a participation of ours
        // watched which is over.
        list.watched.retain(|watched| {
            let place = segment.participant(watched.who.slot);
            let is_there = place.is_some_and(|place| {
                place.generation.load(Relaxed) == watched.who.generation && place.state() != ParticipantState::Free
            });
            let is_kept = if watched.by.is(participant) { is_there } else { !watched.by.has_left() };
            if !is_kept && let Some(handle) = &watched.handle {
                // It goes with its descriptor in any case.
                let _ = self.poller.remove(handle);
            }
            is_kept
        });
        let mut is_all = true;
        for slot in 1..=segment.header().participants {
            let Some(place) = segment.participant(slot) else { continue };
            if slot == participant.id().slot {
                continue;
            }
            match place.state() {
                ParticipantState::Free => continue,
                // Whoever reaps it may be a tool that takes no part, so its death would be seen by nobody.
                ParticipantState::Reaping => {
                    is_all = false;
                    continue;
                }
                ParticipantState::Live => {}
            }
            let who = ParticipantId { slot, generation: place.generation.load(Relaxed) };
            if let Some(known) = list.watched.iter().find(|watched| watched.who == who && watched.by.is(participant)) {
                is_all &= known.handle.is_some();
                continue;
            }
            let pid = place.pid.load(Relaxed);
            let is_ours = place.namespace.load(Relaxed) == process::pid_namespace()?;
            let handle = if is_ours { ProcessHandle::open(pid)? } else { None };
            // The number may have been given to another process before it was opened, but not since.
            let is_it = process::start_time(pid).ok().flatten() == Some(place.start.load(Relaxed));
            let lives = matches!(participant.life(who), Ok(Life::Alive));
            let Some(handle) = handle.filter(|_| is_it && lives) else {
                is_all = false;
                continue;
            };
            list.last_token += 1;
            let token = list.last_token;
            self.poller.add(&handle, token, Interest::Read)?;
            list.watched.push(Watched { by: participant.downgrade(), who, token, handle: Some(handle) });
        }
        Ok(is_all)
    }

    fn run(&self) {
        let mut events = Vec::new();
        let mut ended: Vec<(WeakParticipant, ParticipantId)> = Vec::new();
        loop {
            let limit = (!ended.is_empty()).then_some(TICK);
            if self.poller.wait(&mut events, limit).is_err() {
                // Without a poller nothing can be watched: those who wait find their list empty and look for themselves.
                thread::sleep(TICK);
            }
            ended.extend(self.take_ended(&events));
            ended.retain(|(by, who)| by.upgrade().is_some_and(|by| !is_settled(&by, *who)));
        }
    }

    /// Those whose pidfd has told of their end. What concerns a participation of ours that is over is forgotten.
    fn take_ended(&self, events: &[Event]) -> Vec<(WeakParticipant, ParticipantId)> {
        let mut list = self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut ended = Vec::new();
        list.watched.retain(|watched| {
            let told = events.iter().any(|event| event.token == watched.token);
            if told {
                ended.push((watched.by.clone(), watched.who));
            }
            let is_kept = !told && watched.by.upgrade().is_some();
            if !is_kept && let Some(handle) = &watched.handle {
                // It goes with its descriptor in any case.
                let _ = self.poller.remove(handle);
            }
            is_kept
        });
        ended
    }
}

/// Reaps `who`; false if it must be tried again, because the kernel has not let go of its lock yet, or somebody else is at it who may die.
fn is_settled(by: &Participant, who: ParticipantId) -> bool {
    match by.life(who) {
        Ok(Life::Gone) => true,
        Ok(Life::Dead | Life::Alive) => matches!(by.reap(who.slot), Ok(Some(_))),
        // In a segment that cannot be used any more there is nothing to settle.
        Err(_) => true,
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").field("is_watched", &self.watcher.is_some()).finish_non_exhaustive()
    }
}

/// The lock of this process's own mutex, unless another thread has it.
fn without_waiting<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
