//! Waiting by descriptor and by task, with other processes on the other side, that die, stop and go on. No runtime is involved.

mod processes;

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use crosstie_shm::{
    ByteRing, Error, Latest, LockOutcome, Mutex, Notifier, Pool, ReceiveError, Region, Ring, RwLock, Semaphore,
    SendError, SizeClass, TxRegion, deadline_after, remove,
};
use crosstie_sys::{CrashPlan, Interest, Planned, Poller, plan_crash, trial};

use processes::{Other, name, place, soon};

/// Not a test: what [`Other`] runs.
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn actor() {
    let Ok(path) = std::env::var("ACTOR_DIRECTORY") else { return };
    let directory = crosstie_shm::Directory::at(path).unwrap();
    let (mut sender, mut receiver, mut writer) = (None, None, None);
    let semaphore = Box::leak(Box::new(Semaphore::open_or_create(&directory, &name("permits"), 2).unwrap()));
    let mutex = Box::leak(Box::new(Mutex::<u64>::open_or_create(&directory, &name("mutex"), 0).unwrap()));
    let rw = Box::leak(Box::new(RwLock::<u64>::open_or_create(&directory, &name("rw"), 0).unwrap()));
    let fill = |value: &mut u64| *value = 0;
    let tx = Box::leak(Box::new(TxRegion::<u64>::open_or_create(&directory, &name("tx"), 64, fill).unwrap()));
    let region = Box::leak(Box::new(Region::<u64>::open_or_create(&directory, &name("region"), 0).unwrap()));
    let (mut permit, mut guard) = (None, None);
    let (mut reading, mut writing, mut in_tx, mut in_region) = (None, None, None, None);
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let mut words = order.split(' ');
        match (words.next().unwrap(), words.next()) {
            ("open", Some("sender")) => {
                sender = Some(Ring::<u64>::open(&directory, &name("ring")).unwrap().sender().unwrap());
            }
            ("open", Some("receiver")) => {
                receiver = Some(Ring::<u64>::open(&directory, &name("ring")).unwrap().receiver().unwrap());
            }
            ("open", Some("writer")) => {
                writer = Some(Latest::<u64>::open(&directory, &name("value")).unwrap().writer().unwrap());
            }
            ("send", Some(number)) => sender.as_mut().unwrap().try_send(number.parse().unwrap()).unwrap(),
            ("receive", _) => drop(receiver.as_mut().unwrap().try_receive().unwrap()),
            ("write", Some(number)) => drop(writer.as_mut().unwrap().write(&number.parse().unwrap()).unwrap()),
            ("take", Some("permits")) => permit = Some(semaphore.acquire_many(2, soon()).unwrap().into_guard()),
            ("give", Some("permits")) => permit = None,
            ("take", Some("mutex")) => guard = Some(mutex.lock(soon()).unwrap().into_guard()),
            ("give", Some("mutex")) => guard = None,
            ("take", Some("reading")) => reading = Some(rw.read(soon()).unwrap().into_guard()),
            ("give", Some("reading")) => reading = None,
            ("take", Some("writing")) => writing = Some(rw.write(soon()).unwrap().into_guard()),
            ("give", Some("writing")) => writing = None,
            ("take", Some("tx")) => in_tx = Some(tx.lock(soon()).unwrap().into_guard()),
            ("give", Some("tx")) => in_tx = None,
            ("take", Some("region")) => in_region = Some(region.lock(soon()).unwrap().into_guard()),
            ("give", Some("region")) => in_region = None,
            ("leave", _) => (sender, receiver, writer) = (None, None, None),
            ("die", Some(hit)) => {
                let planned = Planned::Act(trial::Act::Kill);
                plan_crash(CrashPlan { at_hit: hit.parse().unwrap(), planned, name_goes_to: &[] });
            }
            _ => panic!("no such order: {order}"),
        }
        println!("> done");
    }
    drop((permit, guard, reading, writing, in_tx, in_region));
}

fn at_once() -> crosstie_core::Deadline {
    deadline_after(Duration::ZERO)
}

/// A task of its own thread: the smallest runtime there is.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until there is something.
fn block_on<R>(mut poll: impl FnMut(&Context<'_>) -> Poll<R>) -> R {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let until = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        if let Poll::Ready(result) = poll(&Context::from_waker(&waker)) {
            return result;
        }
        assert!(std::time::Instant::now() < until, "nobody woke the task");
        thread::park_timeout(Duration::from_secs(60));
    }
}

#[test]
fn plain_epoll_tells_which_of_several_objects_to_look_at() {
    let (_folder, directory) = place();
    let ring = Ring::<u64>::create(&directory, &name("ring"), 4).unwrap();
    let value = Latest::<u64>::create(&directory, &name("value"), 2).unwrap();
    let permits = Semaphore::create(&directory, &name("permits"), 2).unwrap();
    let mutex = Mutex::create(&directory, &name("mutex"), 0_u64).unwrap();
    let (mut receiver, mut reader) = (ring.receiver().unwrap(), value.reader().unwrap());
    let mut other = Other::start(&directory);
    for order in ["open sender", "open writer", "take permits", "take mutex"] {
        other.ask(order);
    }

    let notifier = Notifier::new().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&notifier, 77, Interest::Read).unwrap();
    let (mut for_permits, mut for_mutex) = (permits.waiting(), mutex.waiting());
    let (mut message, mut version, mut permit, mut lock) = (None, None, None, None);
    // An event loop: whoever is told looks, and arms again if there is nothing.
    let mut look = |key: u64| match key {
        1 if receiver.arm(&notifier, 1).unwrap() => message = Some(receiver.try_receive().unwrap()),
        2 if reader.arm(0, &notifier, 2).unwrap() => version = reader.load().unwrap(),
        3 => permit = for_permits.arm(2, &notifier, 3).unwrap().map(|taken| taken.outcome),
        4 => lock = for_mutex.arm(&notifier, 4).unwrap().map(|taken| taken.outcome),
        _ => {}
    };
    (1..=4).for_each(&mut look);
    let mut events = Vec::new();
    let mut run = |until_told: u64| {
        let until = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            poller.wait(&mut events, Some(Duration::from_secs(60))).unwrap();
            assert!(events.iter().all(|event| event.token == 77) && std::time::Instant::now() < until, "not told");
            let keys = notifier.take_ready().unwrap();
            keys.iter().copied().for_each(&mut look);
            if keys.contains(&until_told) {
                break;
            }
        }
    };
    // A key may be rung in vain, but there is something by the time that it is rung after its order.
    for (order, key) in [("write 5", 2), ("send 6", 1), ("give permits", 3), ("give mutex", 4)] {
        other.ask(order);
        run(key);
    }
    assert_eq!((message, version), (Some(6), Some(5)));
    assert_eq!((permit, lock), (Some(LockOutcome::Clean), Some(LockOutcome::Clean)));
}

#[test]
fn an_arming_is_good_for_one_wake() {
    let (_folder, directory) = place();
    let ring = Ring::<u64>::create(&directory, &name("ring"), 4).unwrap();
    let mut receiver = ring.receiver().unwrap();
    let mut other = Other::start(&directory);
    other.ask("open sender");
    let notifier = Notifier::new().unwrap();
    assert!(!receiver.arm(&notifier, 1).unwrap());
    other.ask("send 1");
    assert_eq!(notifier.wait(soon()).unwrap(), [1]);
    other.ask("send 2");
    assert_eq!(notifier.wait(deadline_after(Duration::from_millis(30))).unwrap(), [0; 0], "nothing is armed");
    assert!(receiver.arm(&notifier, 1).unwrap(), "there is something, so nothing was armed");
    assert_eq!((receiver.try_receive().unwrap(), receiver.try_receive().unwrap()), (1, 2));
    // The control: armed again, it is told again.
    while receiver.is_empty().unwrap() {
        assert!(!receiver.arm(&notifier, 1).unwrap());
        other.ask("send 3");
        assert_eq!(notifier.wait(soon()).unwrap(), [1]);
    }
}

#[test]
fn a_task_is_woken_by_another_process() {
    let (_folder, directory) = place();
    let ring = Ring::<u64>::create(&directory, &name("ring"), 2).unwrap();
    let mut receiver = ring.receiver().unwrap();
    let mut other = Other::start(&directory);
    other.ask("open sender");
    let answer = thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(|cx| receiver.poll_receive(cx)));
        other.ask("send 9");
        waiting.join().unwrap()
    });
    assert_eq!(answer.unwrap(), 9);
    other.ask("leave");
    assert!(matches!(block_on(|cx| receiver.poll_receive(cx)), Err(ReceiveError::Closed)));
    drop(receiver);

    other.ask("open receiver");
    let mut sender = ring.sender().unwrap();
    let (first, second) = (sender.try_send(1), sender.try_send(2));
    assert!(first.is_ok() && second.is_ok());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(|cx| sender.poll_room(cx)));
        other.ask("receive");
        waiting.join().unwrap().unwrap();
    });
    sender.try_send(3).unwrap();
}

/// What else can be locked: the same face, by descriptor and as a task, and all within the second after which everything is told in any case.
#[test]
fn every_lock_tells_who_waits_for_it() {
    let (_folder, directory) = place();
    let rw = RwLock::create(&directory, &name("rw"), 0_u64).unwrap();
    let tx = TxRegion::<u64>::create(&directory, &name("tx"), 64, |_| ()).unwrap();
    let region = Region::create(&directory, &name("region"), 0_u64).unwrap();
    let mut other = Other::start(&directory);
    let notifier = Notifier::new().unwrap();
    // So many times that the clock of the thread that listens cannot have helped each of them.
    let started = std::time::Instant::now();
    for _ in 0..10 {
        let (mut to_read, mut to_write, mut in_tx, mut in_region) =
            (rw.waiting(), rw.waiting(), tx.waiting(), region.waiting());
        for order in ["take writing", "take tx", "take region"] {
            other.ask(order);
        }
        assert!(to_read.arm_read(&notifier, 1).unwrap().is_none());
        assert!(in_tx.arm(&notifier, 2).unwrap().is_none());
        assert!(in_region.arm(&notifier, 3).unwrap().is_none());
        other.ask("give writing");
        drop(block_on(|cx| to_read.poll_read(cx)).unwrap());
        other.ask("give tx");
        drop(block_on(|cx| in_tx.poll_lock(cx)).unwrap());
        other.ask("give region");
        drop(block_on(|cx| in_region.poll_lock(cx)).unwrap());
        other.ask("take reading");
        assert!(to_write.arm_write(&notifier, 4).unwrap().is_none());
        let told = thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                while to_write.arm_write(&notifier, 4).unwrap().is_none() {
                    assert!(!notifier.wait(soon()).unwrap().is_empty(), "not told");
                }
            });
            other.ask("give reading");
            waiting.join()
        });
        told.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(10), "only the clock told: {:?}", started.elapsed());
}

#[test]
fn the_death_of_the_other_side_is_told() {
    let (_folder, directory) = place();
    let ring = Ring::<u64>::create(&directory, &name("ring"), 2).unwrap();
    let value = Latest::<u64>::create(&directory, &name("value"), 2).unwrap();
    let permits = Semaphore::create(&directory, &name("permits"), 2).unwrap();
    let mutex = Mutex::create(&directory, &name("mutex"), 0_u64).unwrap();
    let (mut receiver, mut reader) = (ring.receiver().unwrap(), value.reader().unwrap());
    let (mut for_permits, mut for_mutex) = (permits.waiting(), mutex.waiting());
    let mut other = Other::start(&directory);
    let rw = RwLock::<u64>::open_or_create(&directory, &name("rw"), 0).unwrap();
    let (mut to_read, mut to_write) = (rw.waiting(), rw.waiting());
    for order in ["open sender", "open writer", "write 1", "take permits", "take mutex", "take writing"] {
        other.ask(order);
    }
    thread::scope(|scope| {
        let message = scope.spawn(|| block_on(|cx| receiver.poll_receive(cx)));
        let version = scope.spawn(|| block_on(|cx| reader.poll_newer(1, cx)));
        let permit = scope.spawn(|| block_on(|cx| for_permits.poll_acquire(2, cx)).unwrap().outcome);
        let lock = scope.spawn(|| block_on(|cx| for_mutex.poll_lock(cx)).unwrap().outcome);
        let reading = scope.spawn(|| drop(block_on(|cx| to_read.poll_read(cx)).unwrap()));
        let writing = scope.spawn(|| drop(block_on(|cx| to_write.poll_write(cx)).unwrap()));
        other.kill();
        assert!(matches!(message.join().unwrap(), Err(ReceiveError::PeerDied { .. })));
        assert!(matches!(version.join().unwrap(), Err(ReceiveError::PeerDied { .. })));
        assert!(matches!(permit.join().unwrap(), LockOutcome::Recovered(_)));
        assert!(matches!(lock.join().unwrap(), LockOutcome::Recovered(_)));
        reading.join().unwrap();
        writing.join().unwrap();
    });
}

/// At each of its steps: written, stored, the flag taken down, the bit set, and not rung.
#[test]
fn a_sender_that_dies_before_it_rings_is_told() {
    for hit in 1..=6 {
        let (_folder, directory) = place();
        let ring = Ring::<u64>::create(&directory, &name("ring"), 2).unwrap();
        let mut receiver = ring.receiver().unwrap();
        let notifier = Notifier::new().unwrap();
        let mut other = Other::start(&directory);
        other.ask("open sender");
        assert!(!receiver.arm(&notifier, 1).unwrap());
        other.ask(&format!("die {hit}"));
        other.tell("send 1");
        let outcome = loop {
            assert_eq!(notifier.wait(soon()).unwrap(), [1], "step {hit}");
            if receiver.arm(&notifier, 1).unwrap() {
                break receiver.receive(at_once());
            }
        };
        // Stored at the second step, it is had whatever becomes of its sender.
        match outcome {
            Ok(message) => assert_eq!((message, hit >= 2), (1, true), "step {hit}"),
            Err(error) => assert!(hit < 2 && matches!(error, ReceiveError::PeerDied { .. }), "step {hit}: {error}"),
        }
    }
}

#[test]
fn whoever_waits_for_a_segment_that_is_removed_is_told() {
    let (_folder, directory) = place();
    let ring = ByteRing::create(&directory, &name("ring"), 256).unwrap();
    let mut receiver = ring.receiver().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(|cx| receiver.poll_ready(cx)));
        remove(&directory, &name("ring"), true).unwrap();
        let outcome = waiting.join().unwrap();
        assert!(matches!(outcome, Err(ReceiveError::Failed(Error::Removed { .. }))), "{outcome:?}");
    });
    let mut sender = ring.sender();
    assert!(matches!(sender.as_mut().map(|sender| sender.try_send(b"x")), Err(_) | Ok(Err(SendError::Failed { .. }))));
}

#[test]
fn a_buffer_that_is_returned_is_told_to_all_who_wait_for_one() {
    let pool = Pool::anonymous(&[SizeClass { bytes: 64, buffers: 1 }]).unwrap();
    let other = Pool::of(pool.segment()).unwrap();
    let loan = pool.try_loan(8).unwrap().unwrap();
    let (mut ours, mut theirs) = (pool.waiting(), other.waiting());
    thread::scope(|scope| {
        // Each returns it as soon as it has it, so both get it if both are told.
        let first = scope.spawn(move || drop(block_on(|cx| ours.poll_loan(8, cx)).unwrap()));
        let second = scope.spawn(move || drop(block_on(|cx| theirs.poll_loan(8, cx)).unwrap()));
        drop(loan);
        first.join().unwrap();
        second.join().unwrap();
    });
    assert_eq!(pool.free(), 1);
}

/// More participations than one thread can sleep for, each with its own bell, all on one descriptor.
#[test]
fn one_descriptor_serves_any_number_of_objects() {
    const MANY: u64 = 150;
    let notifier = Notifier::new().unwrap();
    let rings: Vec<_> = (0..MANY).map(|_| Ring::<u64>::anonymous(2).unwrap()).collect();
    let mut senders: Vec<_> = rings.iter().map(|ring| ring.sender().unwrap()).collect();
    let mut receivers: Vec<_> = rings.iter().map(|ring| ring.receiver().unwrap()).collect();
    for (key, receiver) in (0..).zip(&mut receivers) {
        assert!(!receiver.arm(&notifier, key).unwrap());
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            for (number, sender) in (0..).zip(&mut senders) {
                sender.try_send(number).unwrap();
            }
        });
        let mut came = Vec::new();
        while came.len() < usize::try_from(MANY).unwrap() {
            let keys = notifier.wait(soon()).unwrap();
            assert!(!keys.is_empty(), "only {} of {MANY} came", came.len());
            for key in keys {
                let receiver = &mut receivers[usize::try_from(key).unwrap()];
                match receiver.try_receive() {
                    Ok(message) => {
                        assert_eq!(message, key);
                        came.push(key);
                    }
                    Err(ReceiveError::Empty) => {
                        if receiver.arm(&notifier, key).unwrap() {
                            assert_eq!(receiver.try_receive().unwrap(), key);
                            came.push(key);
                        }
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
        came.sort_unstable();
        assert_eq!(came, (0..MANY).collect::<Vec<_>>());
    });
}
