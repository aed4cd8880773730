//! What users and their mistakes do to locks: guards forgotten by the million, wakers that act when they are dropped, numbers at their ends,
//! several handles on one lock, words that nobody meant.

mod processes;

use std::{
    cell::RefCell,
    mem::forget,
    sync::{
        Arc, Mutex as StdMutex,
        atomic::Ordering::{Relaxed, SeqCst},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use crosstie_core::{Deadline, Mono};
use crosstie_shm::{
    Directory, Error, LockError, LockOutcome, Mutex, MutexWaiter, Notifier, RwLock, Segment, Semaphore, TxError,
    TxRegion, deadline_after,
};

use processes::{Other, name, place, soon};

fn shortly() -> Deadline {
    deadline_after(Duration::from_millis(5))
}

/// Not a test: what [`Other`] runs. It takes the lock and waits to be killed.
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn actor() {
    let Ok(path) = std::env::var("ACTOR_DIRECTORY") else { return };
    let directory = Directory::at(path).unwrap();
    let mutex = Mutex::<u64>::open(&directory, &name("mutex")).unwrap();
    let _guard = mutex.lock(soon()).unwrap();
    println!("> {} {}", mutex.participant().id().slot, mutex.participant().id().generation);
    std::io::stdin().lines().for_each(drop);
}

/// Runs `act`, which ends soon if all is well.
fn in_time(act: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        act();
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(60)).expect("it ends, and without a panic");
}

/// Something that a thread does when it ends.
struct AtTheEnd(RefCell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|act| act());
    }
}

/// A thread that runs `act` as it ends, after the locks that it may have left behind were looked through.
fn ending(mutex: &Arc<Mutex<u64>>, act: impl FnOnce(&Mutex<u64>) + Send + 'static) -> thread::JoinHandle<()> {
    thread_local! {
        static AT_THE_END: AtTheEnd = const { AtTheEnd(RefCell::new(None)) };
    }
    let mutex = mutex.clone();
    thread::spawn(move || {
        AT_THE_END.with(|end| end.0.replace(Some(Box::new(move || act(&mutex)))));
        // What comes last goes first.
        drop(Mutex::anonymous(0_u64).unwrap().lock(soon()).unwrap());
    })
}

#[test]
fn threads_that_end_are_not_taken_for_each_other() {
    let mutex = Arc::new(Mutex::anonymous(0_u64).unwrap());
    let (tell, told) = mpsc::channel();
    let (let_go, go) = mpsc::channel::<()>();
    let holds = ending(&mutex, move |mutex| {
        let guard = mutex.lock(soon()).unwrap();
        // The control: one that waits for itself is told so, then as well.
        tell.send(mutex.lock(shortly()).map(drop)).unwrap();
        go.recv().unwrap_err();
        drop(guard);
    });
    assert!(matches!(told.recv().unwrap(), Err(LockError::HeldByThisThread)));
    let (tell, told) = mpsc::channel();
    let waits = ending(&mutex, move |mutex| tell.send(mutex.lock(shortly()).map(drop)).unwrap());
    let outcome = told.recv();
    drop(let_go);
    [holds, waits].into_iter().for_each(|thread| thread.join().unwrap());
    assert!(matches!(outcome, Ok(Err(LockError::TimedOut { .. }))), "{outcome:?}");
}

/// The counts of a process have twenty bits, and the highest keeps room for all who come at one time.
#[test]
fn no_reader_is_let_in_whom_the_count_has_no_room_for() {
    let (_folder, directory) = place();
    let rw = RwLock::create(&directory, &name("rw"), 0_u64).unwrap();
    let other = RwLock::<u64>::open(&directory, &name("rw")).unwrap();
    let mut readers = 0_u32;
    let refused = loop {
        match rw.read(soon()) {
            Ok(reading) => forget(reading),
            Err(error) => break error,
        }
        readers += 1;
        assert!(readers <= 1 << 20, "more readers than the count holds");
    };
    assert!(matches!(refused, LockError::TooManyReaders { .. }), "{refused}");
    assert_eq!(readers, 1 << 19);
    assert!(matches!(rw.try_read(), Err(LockError::TooManyReaders { .. })));
    // They are all still in, and nobody is said to have died.
    assert!(matches!(other.try_write(), Err(LockError::Held { .. })));
    assert_eq!(other.read(soon()).unwrap().outcome, LockOutcome::Clean);
    drop(rw);
    assert!(other.try_write().is_ok(), "whoever leaves takes its readers along");
}

/// A task that has another waiter in it, which goes when the task goes.
struct Task {
    _inner: StdMutex<MutexWaiter<'static, u64>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_that_goes_may_take_other_waiters_along() {
    in_time(|| {
        let (_folder, directory) = place();
        let mutex: &'static _ = Box::leak(Box::new(Mutex::create(&directory, &name("mutex"), 0_u64).unwrap()));
        let elsewhere = Mutex::<u64>::open(&directory, &name("mutex")).unwrap();
        let guard = elsewhere.lock(soon()).unwrap();
        let task = || {
            let mut inner = mutex.waiting();
            assert!(inner.poll_lock(&Context::from_waker(Waker::noop())).is_pending());
            Waker::from(Arc::new(Task { _inner: StdMutex::new(inner) }))
        };
        let mut waiter = mutex.waiting();
        // The second replaces the first, of which nothing else is left; the last goes with the waiter.
        for _ in 0..2 {
            let waker = task();
            assert!(waiter.poll_lock(&Context::from_waker(&waker)).is_pending());
        }
        drop(waiter);
        drop(guard);
    });
}

#[test]
fn numbers_go_on_at_their_ends() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("mutex"), 7_u64).unwrap();
    let cell = mutex.participant().segment().lock(0).unwrap();
    for number in [u64::MAX - 1, u64::MAX] {
        cell.token.store(number, Relaxed);
        cell.version.store(number - 1, Relaxed);
        cell.writing.store(number - 1, Relaxed);
        for _ in 0..3 {
            let mut guard = mutex.lock(soon()).unwrap().into_guard();
            *guard = 8;
            guard.commit();
        }
        assert_eq!(*mutex.try_lock().unwrap().guard, 8);
    }
}

/// Lock words name 21 bits of a generation; slots have 32.
#[test]
fn the_dead_are_named_whatever_their_generation_is() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("mutex"), 0_u64).unwrap();
    let slot = mutex.participant().segment().participant(2).unwrap();
    for generation in [1, (1 << 21) - 1, 1 << 21, (1 << 21) + 1, u32::MAX] {
        slot.generation.store(generation.wrapping_sub(1), SeqCst);
        let mut other = Other::start(&directory);
        let who = other.hear();
        assert_eq!(who, format!("2 {generation}"));
        other.kill();
        let acquired = mutex.lock(soon()).unwrap();
        let recovery = acquired.recovery().expect("its holder was killed");
        assert_eq!((recovery.dead.slot, recovery.dead.generation, recovery.deaths), (2, generation, 1));
    }
    // The one after the last is the first.
    let mut other = Other::start(&directory);
    assert_eq!(other.hear(), "2 1");
}

#[test]
fn a_deadline_may_lie_beyond_all_time() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("mutex"), 0_u64).unwrap();
    let other = Mutex::<u64>::open(&directory, &name("mutex")).unwrap();
    let far = [Deadline::NEVER, deadline_after(Duration::MAX), Deadline::at(Mono::from_nanos(u64::MAX))];
    for deadline in far {
        let guard = mutex.lock(deadline).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| other.lock(deadline).map(drop));
            while mutex.participant().segment().locks().unwrap()[0].waiters.is_empty() {
                assert!(!waiting.is_finished(), "it did not wait");
                thread::yield_now();
            }
            drop(guard);
            waiting.join().unwrap().unwrap();
        });
    }
    let _guard = mutex.lock(soon()).unwrap();
    for deadline in [Deadline::at(Mono::ZERO), deadline_after(Duration::ZERO)] {
        assert!(matches!(other.lock(deadline), Err(LockError::TimedOut { .. })));
    }
}

/// In one thread: through the handle that holds, through another of the same participant, and as another participant.
#[test]
fn several_handles_of_one_process_keep_each_other_out() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("mutex"), 0_u64).unwrap();
    let twin = Mutex::<u64>::of(mutex.participant()).unwrap();
    let stranger = Mutex::<u64>::open(&directory, &name("mutex")).unwrap();
    let mut guard = mutex.lock(soon()).unwrap().into_guard();
    *guard = 5;
    assert!(matches!(mutex.lock(soon()), Err(LockError::HeldByThisThread)));
    assert!(matches!(twin.lock(soon()), Err(LockError::HeldByThisThread)));
    assert!(matches!(stranger.lock(shortly()), Err(LockError::TimedOut { .. })));
    drop(twin);
    drop(stranger);
    assert_eq!((*guard, guard.commit()), (5, 1));
    assert_eq!(*Mutex::<u64>::open(&directory, &name("mutex")).unwrap().lock(soon()).unwrap().guard, 5);
}

/// A value that would lie where its type must not be.
#[test]
fn a_place_that_no_value_may_have_is_refused() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("mutex"), [0_u64; 8]).unwrap();
    let cell = mutex.participant().segment().lock(0).unwrap();
    let right = cell.data.load(Relaxed);
    for wrong in [right + 8, right - 8, u64::MAX - 7, 1 << 40] {
        cell.data.store(wrong, Relaxed);
        let refused = Mutex::<[u64; 8]>::of(mutex.participant());
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "{wrong}: {refused:?}");
    }
    cell.data.store(right, Relaxed);
    assert!(Mutex::<[u64; 8]>::of(mutex.participant()).is_ok());
}

#[test]
fn a_journal_that_says_it_is_endless_is_undone_to_its_end() {
    in_time(|| {
        let (_folder, directory) = place();
        let tx = TxRegion::<[u64; 4]>::create(&directory, &name("tx"), 256, |value| *value = [1, 2, 3, 4]).unwrap();
        let segment = tx.participant().segment();
        let count =
            segment.data().record::<crosstie_shm::sync::AtomicU64>(segment.lock(0).unwrap().journal.load(Relaxed));
        let count = count.unwrap();
        let mut guard = tx.lock(soon()).unwrap().into_guard();
        *guard.edit(|value| &value[1]).unwrap() = 7;
        count.store(u64::MAX, Relaxed);
        assert!(matches!(guard.edit(|value| &value[3]), Err(TxError::JournalFull { .. })));
        drop(guard);
        assert_eq!(*tx.try_lock().unwrap().guard, [1, 2, 3, 4]);
    });
}

/// Any words in the cell of a lock, and in the counts beside it.
#[test]
fn random_words_in_a_lock_are_errors_and_no_more() {
    let mut chance = fastrand::Rng::with_seed(7);
    let seeds: Vec<_> = (0..30).map(|_| chance.u64(..)).collect();
    for seed in seeds {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let _ = done.send(std::panic::catch_unwind(|| scribbled(seed)));
        });
        let outcome = is_done.recv_timeout(Duration::from_secs(60));
        outcome.unwrap_or_else(|_| panic!("seed {seed} does not end")).unwrap_or_else(|_| panic!("seed {seed}"));
    }
}

fn scribbled(seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let (_folder, directory) = place();
    let notifier = Notifier::new().unwrap();
    let mutex = Mutex::create(&directory, &name("mutex"), [0_u64; 4]).unwrap();
    let rw = RwLock::create(&directory, &name("rw"), 0_u64).unwrap();
    let tx = TxRegion::<[u64; 4]>::create(&directory, &name("tx"), 128, |_| ()).unwrap();
    let permits = Semaphore::create(&directory, &name("permits"), 3).unwrap();
    let segments = [mutex.participant(), rw.participant(), tx.participant(), permits.participant()];
    for _ in 0..6 {
        for participant in segments {
            scribble(participant.segment(), &mut chance);
        }
        if let Ok(mut acquired) = mutex.lock(shortly()) {
            acquired.guard[1] = 7;
            acquired.guard.commit();
        }
        let _ = mutex.snapshot(shortly());
        drop(mutex.waiting().arm(&notifier, 1));
        drop(rw.read(shortly()));
        drop(rw.write(shortly()).map(|acquired| acquired.guard.commit()));
        drop(rw.waiting().arm_read(&notifier, 2));
        drop(rw.waiting().arm_write(&notifier, 3));
        if let Ok(mut acquired) = tx.lock(shortly()) {
            if let Ok(part) = acquired.guard.edit(|value| &value[2]) {
                *part = 7;
            }
            acquired.guard.commit();
        }
        drop(tx.waiting().arm(&notifier, 4));
        drop(permits.acquire_many(2, shortly()));
        drop(permits.waiting().arm(2, &notifier, 5));
        for participant in segments {
            let _ = participant.segment().locks();
            let _ = participant.reap_dead();
        }
    }
}

/// A few of the words of the lock, of the counts and of the journal become anything.
fn scribble(segment: &Segment, chance: &mut fastrand::Rng) {
    let cell = segment.lock(0).unwrap();
    let word = |chance: &mut fastrand::Rng| match chance.u8(..4) {
        0 => 0,
        1 => chance.u64(..8),
        2 => u64::MAX - chance.u64(..4),
        _ => chance.u64(..),
    };
    #[allow(clippy::cast_possible_truncation, reason = "any word will do")]
    for _ in 0..chance.u8(1..4) {
        let value = word(chance);
        match chance.u8(..12) {
            0 => cell.word.store(value as u32, Relaxed),
            1 => cell.wake.store(value as u32, Relaxed),
            2 => cell.version.store(value, Relaxed),
            3 => cell.writing.store(value, Relaxed),
            4 => cell.token.store(value, Relaxed),
            5 => cell.death.store(value, Relaxed),
            6 => cell.telling.store(value as u32, Relaxed),
            7 => cell.dead_counts.store(value as u32, Relaxed),
            8 => cell.thread.store(value, Relaxed),
            9 => cell.armed.store(value as u32, Relaxed),
            10 => cell.permits.store(value as u32, Relaxed),
            _ => {
                // Counts, and after them a journal or the value.
                let data = segment.data();
                let at = 8 + chance.u64(..data.len() / 8 - 8);
                data.record::<crosstie_shm::sync::AtomicU64>(at * 8).unwrap().store(value, Relaxed);
            }
        }
    }
}
