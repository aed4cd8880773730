//! Locks that several may hold, and large values, as a user meets them, with processes that die.

mod processes;

use std::{thread, time::Duration};

use crosstie_shm::{
    Directory, Error, HeldPart, LockError, LockOutcome, RwLock, Semaphore, ShmSafe, TxError, TxRegion, deadline_after,
};

use processes::{Other, name, place, soon};

#[derive(Clone, Copy, Debug, PartialEq, ShmSafe)]
#[repr(C)]
struct Account {
    cents: i64,
    changes: u64,
}

#[derive(Clone, Copy, ShmSafe)]
#[repr(C)]
struct Bank {
    accounts: [Account; 1000],
    bytes: [u8; 64],
}

/// Not a test: what [`Other`] runs.
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn actor() {
    let Ok(path) = std::env::var("ACTOR_DIRECTORY") else { return };
    let directory = Directory::at(path).unwrap();
    let last = std::cell::RefCell::new(None);
    for order in std::io::stdin().lines() {
        let answer = match order.unwrap().as_str() {
            "read" => {
                let lock = Box::leak(Box::new(RwLock::<[u64; 2]>::open(&directory, &name("shared")).unwrap()));
                std::mem::forget(lock.read(soon()).unwrap());
                lock.participant().id().to_string()
            }
            "write" => {
                let lock = Box::leak(Box::new(RwLock::<[u64; 2]>::open(&directory, &name("shared")).unwrap()));
                let mut guard = lock.write(soon()).unwrap().into_guard();
                guard[0] = 77;
                std::mem::forget(guard);
                lock.participant().id().to_string()
            }
            "two permits" => {
                let semaphore = Box::leak(Box::new(Semaphore::open(&directory, &name("shared")).unwrap()));
                std::mem::forget(semaphore.acquire_many(2, soon()).unwrap());
                semaphore.participant().id().to_string()
            }
            // Takes part anew, and leaves when it is asked the next time.
            "read anew" => {
                let lock = RwLock::<[u64; 2]>::open(&directory, &name("shared")).unwrap();
                std::mem::forget(lock.read(soon()).unwrap());
                let who = lock.participant().id().to_string();
                *last.borrow_mut() = Some(lock);
                who
            }
            "edit" => {
                let region = Box::leak(Box::new(TxRegion::<Bank>::open(&directory, &name("shared")).unwrap()));
                let mut guard = region.lock(soon()).unwrap().into_guard();
                for at in (0..1000).step_by(7) {
                    guard.edit(|bank| &bank.accounts[at]).unwrap().cents = -1;
                }
                guard.edit_slice(|bank| &bank.bytes[3..11]).unwrap().fill(9);
                std::mem::forget(guard);
                region.participant().id().to_string()
            }
            other => panic!("no such order: {other}"),
        };
        println!("> {answer}");
    }
}

#[test]
fn readers_come_together_and_a_writer_alone() {
    let (_folder, directory) = place();
    let lock = RwLock::create(&directory, &name("shared"), [1_u64, 1]).unwrap();
    let other = RwLock::<[u64; 2]>::open(&directory, &name("shared")).unwrap();
    let (one, two) = (lock.read(soon()).unwrap(), other.try_read().unwrap());
    assert!(matches!(other.try_write().unwrap_err(), LockError::Held { by: None }));
    assert!(lock.write(deadline_after(Duration::from_millis(5))).unwrap_err().is_contention());
    assert_eq!(*lock.try_read().unwrap().guard, [1, 1], "a writer that gave up lets readers in again");
    drop((one, two));
    let mut writer = lock.write(soon()).unwrap().into_guard();
    writer[1] = 2;
    assert!(matches!(other.try_read().unwrap_err(), LockError::Held { by: Some(by) } if by == lock.participant().id()));
    assert_eq!(other.snapshot(soon()).unwrap(), [1, 1]);
    writer.commit();
    assert_eq!(*other.read(soon()).unwrap().guard, [1, 2]);
}

#[test]
fn readers_never_see_half_of_a_write() {
    let (_folder, directory) = place();
    let lock = RwLock::create(&directory, &name("shared"), [0_u64; 16]).unwrap();
    const EACH: u64 = 3_000;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let handle = RwLock::<[u64; 16]>::open(&directory, &name("shared")).unwrap();
                for _ in 0..EACH {
                    let mut guard = handle.write(soon()).unwrap().into_guard();
                    guard.iter_mut().for_each(|number| *number += 1);
                    guard.commit();
                }
            });
            scope.spawn(|| {
                let handle = RwLock::<[u64; 16]>::open(&directory, &name("shared")).unwrap();
                for _ in 0..EACH {
                    let guard = handle.read(soon()).unwrap().into_guard();
                    assert!(guard.iter().all(|number| *number == guard[0]), "{:?}", *guard);
                }
            });
        }
    });
    assert_eq!(lock.snapshot(soon()).unwrap(), [2 * EACH; 16]);
}

#[test]
fn a_killed_reader_is_withdrawn_and_told_of_once() {
    let (_folder, directory) = place();
    let lock = RwLock::create(&directory, &name("shared"), [1_u64, 1]).unwrap();
    let mut other = Other::start(&directory);
    let who = other.ask("read");
    let status = &lock.participant().segment().locks().unwrap()[0];
    assert_eq!(status.holders[0].part, HeldPart::Readers(1));
    let waiter = thread::scope(|scope| {
        let waiter = scope.spawn(|| lock.write(soon()).unwrap().recovery().expect("a reader died"));
        while lock.participant().segment().locks().unwrap()[0].waiters.is_empty() {
            thread::yield_now();
        }
        other.kill();
        waiter.join().unwrap()
    });
    assert_eq!((waiter.dead.to_string(), waiter.deaths, waiter.rolled_back), (who, 1, false));
    assert_eq!(lock.read(soon()).unwrap().outcome, LockOutcome::Clean);
}

/// Waits again and again, each time as `wait` does, for a lock that another process reads: it costs no descriptor each time.
fn assert_no_descriptors(mut wait: impl FnMut(&RwLock<[u64; 2]>, &Directory, &mut Other)) {
    const TIMES: usize = 300;
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let (_folder, directory) = place();
    let lock = RwLock::create(&directory, &name("shared"), [1_u64, 1]).unwrap();
    let mut other = Other::start(&directory);
    other.ask("read anew");
    let before = descriptors();
    for _ in 0..TIMES {
        wait(&lock, &directory, &mut other);
    }
    // Other tests have some meanwhile.
    let now = descriptors();
    assert!(now < before + TIMES / 3, "{before} descriptors, and {now} afterwards");
    other.kill();
}

/// Long enough to have everybody watched.
fn wait_in_vain(lock: &RwLock<[u64; 2]>) {
    lock.write(deadline_after(Duration::from_millis(3))).unwrap_err();
}

/// Found by 25,000 ends of other kinds than death: each who took part anew cost those who waited a descriptor, as long as its process lived.
#[test]
fn who_takes_part_again_and_again_costs_a_waiter_no_descriptors() {
    assert_no_descriptors(|lock, _, other| {
        wait_in_vain(lock);
        other.ask("read anew");
    });
}

/// Found by 37,000 ends of other kinds than death: who left and came back kept what it had watched before, until somebody died.
#[test]
fn who_comes_back_to_wait_again_and_again_keeps_no_descriptors() {
    assert_no_descriptors(|_, directory, _| wait_in_vain(&RwLock::open(directory, &name("shared")).unwrap()));
}

#[test]
fn a_killed_writer_leaves_nothing_behind() {
    let (_folder, directory) = place();
    let lock = RwLock::create(&directory, &name("shared"), [1_u64, 1]).unwrap();
    let mut other = Other::start(&directory);
    let who = other.ask("write");
    other.kill();
    let reader = lock.read(soon()).unwrap();
    assert_eq!(*reader.guard, [1, 1]);
    let recovery = reader.recovery().expect("the writer died");
    assert_eq!((recovery.dead.to_string(), recovery.rolled_back), (who, true));
    assert_eq!(lock.read(soon()).unwrap().outcome, LockOutcome::Clean, "somebody else is being told");
    drop(reader);
    assert_eq!(lock.read(soon()).unwrap().outcome, LockOutcome::Clean);
}

#[test]
fn permits_of_the_dead_return_exactly() {
    let (_folder, directory) = place();
    let semaphore = Semaphore::create(&directory, &name("shared"), 3).unwrap();
    assert!(matches!(semaphore.acquire_many(4, soon()).unwrap_err(), LockError::TooMany { asked: 4, permits: 3 }));
    let mut other = Other::start(&directory);
    let who = other.ask("two permits");
    assert_eq!(semaphore.free(), 1);
    let own = semaphore.acquire(soon()).unwrap();
    assert!(matches!(semaphore.try_acquire().unwrap_err(), LockError::Held { by: None }));
    assert!(semaphore.acquire(deadline_after(Duration::from_millis(5))).unwrap_err().is_contention());
    let recovery = thread::scope(|scope| {
        let waiter = scope.spawn(|| semaphore.acquire_many(2, soon()).unwrap().recovery().expect("an owner died"));
        while semaphore.participant().segment().locks().unwrap()[0].waiters.is_empty() {
            thread::yield_now();
        }
        other.kill();
        waiter.join().unwrap()
    });
    assert_eq!((recovery.dead.to_string(), recovery.deaths), (who, 1));
    assert_eq!(semaphore.free(), 2);
    assert_eq!(semaphore.try_acquire_many(2).unwrap().outcome, LockOutcome::Clean);
    drop(own);
    assert_eq!(semaphore.free(), 3);
}

#[test]
fn a_dead_permit_holder_is_found_by_who_has_no_time_to_wait() {
    let (_folder, directory) = place();
    let semaphore = Semaphore::create(&directory, &name("shared"), 2).unwrap();
    let mut other = Other::start(&directory);
    let dead = other.ask("two permits");
    other.kill();
    // Shorter than the sleep after which a waiter looks at everybody.
    let found = semaphore.acquire(deadline_after(Duration::from_micros(100))).unwrap();
    let LockOutcome::Recovered(recovery) = found.outcome else { panic!("{:?}", found.outcome) };
    assert_eq!(recovery.dead.to_string(), dead);
}

#[test]
fn a_dead_permit_holder_is_found_by_who_never_has_to_wait() {
    let (_folder, directory) = place();
    let semaphore = Semaphore::create(&directory, &name("shared"), 3).unwrap();
    let mut other = Other::start(&directory);
    let dead = other.ask("two permits");
    let mut outcome = semaphore.acquire(soon()).unwrap().outcome;
    assert_eq!(outcome, LockOutcome::Clean, "it lives");
    other.kill();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while outcome == LockOutcome::Clean && std::time::Instant::now() < deadline {
        outcome = semaphore.try_acquire().unwrap().outcome;
    }
    let LockOutcome::Recovered(recovery) = outcome else { panic!("{outcome:?}") };
    assert_eq!(recovery.dead.to_string(), dead);
    assert_eq!(semaphore.free(), 3);
}

#[test]
fn no_more_permits_are_out_than_there_are() {
    let (_folder, directory) = place();
    let semaphore = Semaphore::create(&directory, &name("shared"), 2).unwrap();
    let out = std::sync::atomic::AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let handle = Semaphore::open(&directory, &name("shared")).unwrap();
                for _ in 0..3_000 {
                    let permit = handle.acquire(soon()).unwrap();
                    assert!(out.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2);
                    out.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(semaphore.free(), 2);
}

fn bank(directory: &Directory) -> TxRegion<Bank> {
    TxRegion::create(directory, &name("shared"), 8192, |bank: &mut Bank| {
        bank.accounts.fill(Account { cents: 100, changes: 0 });
    })
    .unwrap()
}

#[test]
fn a_transaction_counts_whole_or_not_at_all() {
    let (_folder, directory) = place();
    let region = bank(&directory);
    let other = TxRegion::<Bank>::open(&directory, &name("shared")).unwrap();
    let mut guard = region.lock(soon()).unwrap().into_guard();
    guard.edit(|bank| &bank.accounts[3]).unwrap().cents -= 60;
    guard.edit(|bank| &bank.accounts[999].cents).unwrap().clone_from(&160);
    assert_eq!(guard.accounts[3].cents, 40);
    drop(guard);
    let mut guard = other.lock(soon()).unwrap().into_guard();
    assert!(guard.accounts.iter().all(|account| account.cents == 100));
    guard.edit_slice(|bank| &bank.accounts[10..20]).unwrap().fill(Account { cents: 7, changes: 1 });
    guard.edit(|bank| &bank.bytes[5]).unwrap().clone_from(&1);
    guard.save();
    guard.edit(|bank| &bank.accounts[0]).unwrap().cents = 0;
    guard.edit(|bank| &bank.accounts[0]).unwrap().cents = 1;
    guard.roll_back();
    assert_eq!(guard.accounts[0].cents, 100);
    drop(guard);
    let guard = region.lock(soon()).unwrap().into_guard();
    assert_eq!((guard.accounts[9].cents, guard.accounts[10].cents, guard.accounts[19].changes), (100, 7, 1));
    assert_eq!((guard.accounts[20].cents, guard.bytes[5], guard.bytes[4]), (100, 1, 0));
}

#[test]
fn a_full_journal_refuses_before_anything_is_written() {
    let (_folder, directory) = place();
    let region = bank(&directory);
    let mut guard = region.lock(soon()).unwrap().into_guard();
    guard.edit(|bank| &bank.accounts[0]).unwrap().cents = 0;
    let full = guard.edit_slice(|bank| &bank.accounts[1..900]).unwrap_err();
    assert!(matches!(full, TxError::JournalFull { needed, left } if needed > left && left > 8000), "{full}");
    static ELSEWHERE: u64 = 0;
    assert_eq!(guard.edit(|_| &ELSEWHERE).unwrap_err(), TxError::NotAPart);
    guard.commit();
    let guard = region.lock(soon()).unwrap().into_guard();
    assert_eq!(
        (guard.accounts[0].cents, guard.accounts[1].cents),
        (0, 100),
        "what was written before the refusal counts"
    );
}

/// Sums of the lengths must not come round to something small.
#[test]
fn a_journal_longer_than_all_memory_is_refused() {
    let (_folder, directory) = place();
    for journal in [u64::MAX, u64::MAX - 64, u64::MAX - 4096, 1 << 63, 1 << 40] {
        let refused = TxRegion::<[u64; 4]>::create(&directory, &name("endless"), journal, |_| ()).unwrap_err();
        assert!(matches!(refused, Error::Spec { .. }), "{journal}: {refused}");
    }
    assert!(directory.list().unwrap().is_empty());
}

#[test]
fn a_transaction_of_the_dead_is_put_back() {
    let (_folder, directory) = place();
    let region = bank(&directory);
    let mut other = Other::start(&directory);
    let who = other.ask("edit");
    other.kill();
    let acquired = region.lock(soon()).unwrap();
    let recovery = acquired.recovery().expect("somebody died");
    assert_eq!((recovery.dead.to_string(), recovery.rolled_back), (who, true));
    assert!(acquired.guard.accounts.iter().all(|account| account.cents == 100));
    assert_eq!(acquired.guard.bytes, [0; 64]);
}
