//! Mutexes and regions as a user meets them, with processes that die.

mod processes;

use std::{thread, time::Duration};

use crosstie_core::FencingToken;
use crosstie_shm::{
    Act, Directory, Error, Expect, LockError, LockOutcome, Mutex, Participant, Region, RwLock, Segment, deadline_after,
};

use processes::{Other, name, place, soon};

type Pair = [u64; 2];

#[test]
fn what_is_committed_counts_and_nothing_else() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("pair"), [1_u64, 1]).unwrap();
    let other = Mutex::<Pair>::open(&directory, &name("pair")).unwrap();

    let mut guard = mutex.lock(soon()).unwrap().into_guard();
    guard[0] = 7;
    assert_eq!(guard[0], 7);
    assert_eq!(other.snapshot(soon()).unwrap(), [1, 1], "nobody sees what is not committed");
    drop(guard);
    assert_eq!(*other.lock(soon()).unwrap().guard, [1, 1]);

    let mut guard = other.lock(soon()).unwrap().into_guard();
    *guard = [2, 2];
    assert_eq!(guard.commit(), 1);
    assert_eq!(*mutex.lock(soon()).unwrap().guard, [2, 2]);

    let failed: Result<(), LockError> = mutex.update(soon(), |pair| {
        pair[0] = 9;
        Err(LockError::HeldByThisThread)
    });
    failed.unwrap_err();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut guard = mutex.lock(soon()).unwrap().into_guard();
        guard[0] = 10;
        panic!("halfway");
    }));
    panicked.unwrap_err();
    assert_eq!(other.snapshot(soon()).unwrap(), [2, 2]);

    let mut guard = mutex.lock(soon()).unwrap().into_guard();
    guard[0] = 3;
    assert_eq!(guard.save(), 2);
    guard[1] = 3;
    guard.roll_back();
    assert_eq!(*guard, [3, 2]);
    drop(guard);
    assert_eq!(other.snapshot_with_version(soon()).unwrap(), ([3, 2], 2));
}

#[test]
fn control_a_mutex_that_nobody_has_joined_yet_is_swept_away() {
    let (_folder, directory) = place();
    drop(Mutex::create(&directory, &name("swept"), 0_u64).unwrap());
    let opened = Segment::open(&directory, &name("swept"), &Expect::any()).unwrap();
    crosstie_shm::sweep(&directory).unwrap();
    assert!(matches!(Participant::join(&opened, "late"), Err(Error::Removed { .. })));
}

#[test]
fn a_held_lock_is_refused_or_waited_for() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("busy"), 0_u64).unwrap();
    let other = Mutex::<u64>::open(&directory, &name("busy")).unwrap();
    let held = mutex.lock(soon()).unwrap();
    assert_eq!(held.outcome, LockOutcome::Clean);
    let token = held.guard.token();
    assert!(
        matches!(other.try_lock().unwrap_err(), LockError::Held { by: Some(by) } if by == mutex.participant().id())
    );
    let late = other.lock(deadline_after(Duration::from_millis(20))).unwrap_err();
    assert!(matches!(late, LockError::TimedOut { by: Some(by) } if by == mutex.participant().id()), "{late}");
    assert!(matches!(mutex.lock(soon()).unwrap_err(), LockError::HeldByThisThread));
    assert!(matches!(mutex.try_lock().unwrap_err(), LockError::Held { .. }));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| other.lock(soon()).unwrap().guard.token());
        // It is listed once it has waited for a while.
        let row = mutex.participant().segment().waits(other.participant().id().slot).unwrap();
        while row.entries[0].lock.load(std::sync::atomic::Ordering::Relaxed) != 1 {
            assert!(!soon().expired(crosstie_shm::now()));
            thread::yield_now();
        }
        drop(held);
        assert!(waiter.join().unwrap() > token);
        assert_eq!(row.entries[0].lock.load(std::sync::atomic::Ordering::Relaxed), 0);
    });
}

#[test]
fn threads_and_handles_count_without_a_loss() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("count"), [0_u64; 8]).unwrap();
    let others: Vec<_> = (0..2).map(|_| Mutex::<[u64; 8]>::open(&directory, &name("count")).unwrap()).collect();
    const EACH: u64 = 20_000;
    thread::scope(|scope| {
        for handle in [&mutex, &mutex, &others[0], &others[1]] {
            scope.spawn(move || {
                for _ in 0..EACH {
                    let mut guard = handle.lock(soon()).unwrap().into_guard();
                    guard.iter_mut().for_each(|number| *number += 1);
                    guard.commit();
                }
            });
        }
        scope.spawn(|| {
            let mut last = 0;
            while last < 4 * EACH {
                let found = others[0].snapshot(soon()).unwrap();
                assert!(found.iter().all(|number| *number == found[0]), "torn: {found:?}");
                assert!(found[0] >= last, "went back from {last} to {}", found[0]);
                last = found[0];
            }
        });
    });
    assert_eq!(*mutex.lock(soon()).unwrap().guard, [4 * EACH; 8]);
}

#[test]
fn a_thread_that_forgets_its_guard_loses_the_lock_when_it_ends() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("forgotten"), [0_u64; 2]).unwrap();
    thread::scope(|scope| {
        let forgetting = scope.spawn(|| {
            let mut guard = mutex.lock(soon()).unwrap().into_guard();
            guard[0] = 1;
            std::mem::forget(guard);
        });
        forgetting.join().unwrap();
    });
    let next = mutex.lock(soon()).unwrap();
    let recovery = next.recovery().expect("it is told");
    assert!(recovery.was_thread && recovery.rolled_back && recovery.deaths == 1, "{recovery}");
    assert_eq!(recovery.dead, mutex.participant().id());
    assert_eq!(*next.guard, [0, 0]);
    drop(next);
    assert_eq!(mutex.lock(soon()).unwrap().outcome, LockOutcome::Clean, "it is told once");
}

#[test]
fn a_region_refuses_a_late_writer() {
    let (_folder, directory) = place();
    let region = Region::create(&directory, &name("fenced"), 0_u64).unwrap();
    let other = Region::<u64>::open(&directory, &name("fenced")).unwrap();
    let write = |region: &Region<u64>, token: u64, value: u64| {
        let mut guard = region.lock(soon()).unwrap().into_guard();
        guard.fence(FencingToken::new(token))?;
        *guard = value;
        guard.commit();
        Ok::<(), crosstie_shm::Fenced>(())
    };
    write(&region, 3, 30).unwrap();
    write(&other, 4, 40).unwrap();
    let fenced = write(&region, 3, 31).unwrap_err();
    assert_eq!((fenced.highest, fenced.came), (FencingToken::new(4), FencingToken::new(3)));
    write(&region, 4, 41).unwrap();
    assert_eq!(other.snapshot(soon()).unwrap(), 41);
}

/// Not a test: what [`Other`] runs.
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn actor() {
    let Ok(path) = std::env::var("ACTOR_DIRECTORY") else { return };
    let mutex = Mutex::<Pair>::open(&Directory::at(path).unwrap(), &name("shared")).unwrap();
    let mut held = None;
    for order in std::io::stdin().lines() {
        let answer = match order.unwrap().as_str() {
            "lock" => {
                let acquired = mutex.lock(soon()).unwrap();
                let answer = acquired.recovery().map_or_else(|| "clean".to_owned(), |recovery| recovery.to_string());
                held = Some(acquired.guard);
                answer
            }
            "change" => {
                held.as_mut().unwrap()[0] += 1;
                "changed".to_owned()
            }
            "who" => mutex.participant().id().to_string(),
            other => panic!("no such order: {other}"),
        };
        println!("> {answer}");
    }
}

#[test]
fn the_lock_of_a_killed_process_is_free_its_changes_undone_and_the_next_is_told() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("shared"), [5_u64, 5]).unwrap();
    for (changes, rolled_back) in [(true, true), (false, false)] {
        let mut other = Other::start(&directory);
        let who = other.ask("who");
        assert_eq!(other.ask("lock"), "clean");
        if changes {
            other.ask("change");
        }
        assert!(matches!(mutex.try_lock().unwrap_err(), LockError::Held { .. }));
        let recovery = thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let acquired = mutex.lock(soon()).unwrap();
                assert_eq!(*acquired.guard, [5, 5]);
                acquired.recovery().expect("somebody died with the lock")
            });
            let row = mutex.participant().segment().waits(mutex.participant().id().slot).unwrap();
            while row.entries[0].lock.load(std::sync::atomic::Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            other.kill();
            waiter.join().unwrap()
        });
        assert_eq!((recovery.dead.to_string(), recovery.rolled_back, recovery.deaths), (who, rolled_back, 1));
        assert_eq!(mutex.lock(soon()).unwrap().outcome, LockOutcome::Clean, "it is told once");
    }
}

#[test]
fn one_who_does_not_wait_gets_the_lock_of_the_dead_too() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("shared"), [5_u64, 5]).unwrap();
    let mut other = Other::start(&directory);
    other.ask("lock");
    other.kill();
    assert!(mutex.try_lock().unwrap().recovery().is_some());
}

#[test]
fn who_is_told_and_dies_before_it_gave_the_lock_back_was_not_told() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("shared"), [5_u64, 5]).unwrap();
    let (mut one, mut two) = (Other::start(&directory), Other::start(&directory));
    one.ask("lock");
    one.ask("change");
    one.kill();
    assert!(two.ask("lock").contains("ended with the lock"));
    two.kill();
    let recovery = mutex.lock(soon()).unwrap().recovery().expect("both died");
    assert_eq!((recovery.deaths, recovery.rolled_back), (2, true));
}

/// The number in the acts of a process is the one that its guard has.
#[test]
fn who_waited_long_notes_its_own_token() {
    let (_folder, directory) = place();
    let mutex = Mutex::create(&directory, &name("noted"), 0_u64).unwrap();
    let waiter = Mutex::<u64>::open(&directory, &name("noted")).unwrap();
    let rw = RwLock::create(&directory, &name("rw"), 0_u64).unwrap();
    let writer = RwLock::<u64>::open(&directory, &name("rw")).unwrap();
    let (guard, reading) = (mutex.lock(soon()).unwrap(), rw.read(soon()).unwrap());
    let (token, written) = thread::scope(|scope| {
        let locking = scope.spawn(|| waiter.lock(soon()).unwrap().guard.token());
        let writing = scope.spawn(|| writer.write(soon()).unwrap().guard.token());
        for segment in [mutex.participant().segment(), rw.participant().segment()] {
            while segment.locks().unwrap()[0].waiters.is_empty() {
                thread::yield_now();
            }
        }
        drop((guard, reading));
        (locking.join().unwrap(), writing.join().unwrap())
    });
    for (participant, token) in [(waiter.participant(), token), (writer.participant(), written)] {
        let acts = participant.segment().events(participant.id().slot);
        let got = acts.iter().find(|act| act.act == Act::Locked).expect("it waited until it was listed");
        assert_eq!(got.detail, [0, token.number()]);
    }
    // The control: whoever found it free notes nothing.
    let free = mutex.participant();
    assert!(free.segment().events(free.id().slot).iter().all(|act| act.act != Act::Locked));
}
