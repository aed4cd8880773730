//! The thread that sleeps for everything that is armed in this process, and tells.
//!
//! One thread serves 63 participations, because the kernel waits for 128 words at most: two for each, its bell and the membership of its segment,
//! and one on which the thread is called. The next 63 get another. A participation is served from the first arming on until it is left.
//!
//! Deaths are seen as by those who wait for locks: the watching thread holds a pidfd of everyone in the segment, reaps who ends, and the
//! membership changes. Who cannot be watched is looked at every four milliseconds while something is armed.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    thread,
    time::Duration,
};

use crosstie_core::{Deadline, Mono};
use crosstie_sys::{
    Incarnation,
    futex::{self, MAX_WORDS},
};

use super::listening::Listening;
use crate::{
    clock,
    error::{Error, Result},
    lock::is_watched,
    participant::Participant,
    sync::{AtomicU32, Ordering::*, futex_wait, futex_wake},
    wait::{Heard, Listener},
};

/// Participations of one thread.
const EACH: usize = (MAX_WORDS - 1) / 2;
/// How often those are looked at who cannot be watched, while something is armed.
const TICK: Duration = Duration::from_millis(4);
/// The same while nothing is: an arming calls nobody, so the thread finds out by itself that there is something to look after.
const IDLE_TICK: Duration = Duration::from_millis(50);
/// How often all that is armed is told, whatever was heard: somebody may have been stopped after it made an object ready and before it rang.
const LONGEST: Duration = Duration::from_secs(1);

/// The threads of this process. In a child of fork they are gone, so it starts its own.
static THREADS: Mutex<Option<Threads>> = Mutex::new(None);

/// The process that started them, and they.
type Threads = (Incarnation, Vec<Arc<Shared>>);

/// What a thread shares with those who bring it participations.
struct Shared {
    served: Mutex<Vec<Arc<Listening>>>,
    /// Changes when there is a newcomer among them.
    call: AtomicU32,
}

/// How long to try for a lock that another thread of this process has for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// The participation as the thread knows it, which begins to listen for it if it does not yet.
pub(super) fn listening(participant: &Participant) -> Result<Arc<Listening>> {
    let doing = || Error::system("starting the thread that listens for what is armed");
    let now = Incarnation::current().map_err(Error::system("telling this process from its children"))?;
    let mut known = lock_in_time()?;
    if known.as_ref().is_none_or(|(incarnation, _)| *incarnation != now) {
        // What the parent had is the parent's; its locks may be held by threads that are not here, so they are not touched, nor freed.
        std::mem::forget(known.take());
    }
    let (_, threads) = known.get_or_insert_with(|| (now, Vec::new()));
    for shared in &*threads {
        if let Some(found) = shared.served().iter().find(|listening| listening.participant.is(participant)) {
            return Ok(found.clone());
        }
    }
    let fresh = Arc::new(Listening::new(participant));
    let with_room = threads.iter().find(|shared| shared.served().len() < EACH).cloned();
    let shared = match with_room {
        Some(shared) => shared,
        None => {
            let shared = Shared::start().map_err(doing())?;
            threads.push(shared.clone());
            shared
        }
    };
    shared.served().push(fresh.clone());
    // Release: pairs with the Acquire in run, who then finds it among the served.
    shared.call.fetch_add(1, Release);
    futex_wake(&shared.call, 1);
    Ok(fresh)
}

fn lock_in_time() -> Result<MutexGuard<'static, Option<Threads>>> {
    let deadline = clock::deadline_after(PATIENCE);
    loop {
        match THREADS.try_lock() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            // Held for microseconds, unless this is the child of a fork in the middle of it: then for ever.
            Err(TryLockError::WouldBlock) if !deadline.expired(clock::now()) => thread::yield_now(),
            Err(TryLockError::WouldBlock) => {
                let what = "another thread forked this process in the middle of arming; use exec after fork";
                return Err(Error::system("arming")(io::Error::new(io::ErrorKind::WouldBlock, what)));
            }
        }
    }
}

impl Shared {
    fn start() -> io::Result<Arc<Self>> {
        let shared = Arc::new(Self { served: Mutex::default(), call: AtomicU32::new(0) });
        let own = shared.clone();
        thread::Builder::new().name("crosstie-listen".to_owned()).spawn(move || own.run())?;
        Ok(shared)
    }

    fn served(&self) -> MutexGuard<'_, Vec<Arc<Listening>>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            // Pairs with the Release in `listening`.
            let call = self.call.load(Acquire);
            self.served().retain(|listening| listening.participant.upgrade().is_some());
            let served = self.served().clone();
            let mut rows: Vec<_> = served.iter().map(|listening| Row::new(listening)).collect();
            self.serve(call, &mut rows);
            rows.iter().for_each(|row| row.listening.stop(&row.listener));
        }
    }

    /// Listens until somebody calls, or a participation is over.
    fn serve(&self, call: u32, rows: &mut [Row<'_>]) {
        let mut words = Vec::with_capacity(MAX_WORDS);
        let mut look_at = clock::now() + LONGEST;
        loop {
            let mut until = look_at;
            let mut is_over = false;
            words.clear();
            words.push((&self.call, call));
            for row in &mut *rows {
                is_over |= row.listen();
                until = until.min(row.until());
                words.extend(row.listener.words());
            }
            if is_over || self.call.load(Acquire) != call {
                return;
            }
            self.sleep(&words, until);
            let now = clock::now();
            if now >= until {
                rows.iter().for_each(Row::reap);
            }
            if now >= look_at {
                rows.iter().for_each(|row| row.listening.tell(&Heard::ANYTHING));
                look_at = now + LONGEST;
            }
        }
    }

    fn sleep(&self, words: &[(&AtomicU32, u32)], until: Mono) {
        if futex::wait_any(words, Some(until.as_nanos())).is_err() {
            // A sandbox may forbid the call that kernels have since 5.16. Then all is looked at now and then.
            let tick = Deadline::after(clock::now(), TICK).earlier(Deadline::at(until));
            let _ = futex_wait(&self.call, words[0].1, tick);
        }
    }
}

/// A participation that is served.
struct Row<'a> {
    listening: &'a Listening,
    listener: Listener<'a>,
    /// True if the death of everyone in the segment changes its membership without our looking.
    is_watched: bool,
}

impl<'a> Row<'a> {
    fn new(listening: &'a Listening) -> Self {
        Self { listening, listener: listening.listener(), is_watched: false }
    }

    /// Tells what has come; true if the participation is over.
    fn listen(&mut self) -> bool {
        let heard = self.listener.listen();
        if heard.is_nothing() {
            return false;
        }
        self.listening.tell(&heard);
        // Who came is to be watched, and who left may have been us.
        heard.members && !self.watch()
    }

    /// Until when the sleep may last for it.
    fn until(&mut self) -> Mono {
        if !self.is_watched {
            self.watch();
        }
        let tick = match (self.is_watched, self.listening.is_armed()) {
            (true, _) => LONGEST,
            (false, true) => TICK,
            (false, false) => IDLE_TICK,
        };
        clock::now() + tick
    }

    /// Reaps whoever is dead and was not watched, which changes the membership. What goes wrong is seen by who acts on the object.
    fn reap(&self) {
        if !self.is_watched
            && let Some(participant) = self.listening.participant.upgrade()
        {
            let _ = participant.reap_dead();
        }
    }

    /// Sees to it that everyone is watched; false if the participation is over.
    fn watch(&mut self) -> bool {
        let participant = self.listening.participant.upgrade();
        self.is_watched = participant.as_ref().is_some_and(is_watched);
        participant.is_some()
    }
}
