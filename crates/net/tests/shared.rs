//! Shared memory on tokio: waits end with what was waited for, with a death, or with the deadline, and lose nothing when they are dropped.

use std::{ops::DerefMut, sync::Arc, time::Duration};

use crosstie_core::Deadline;
use crosstie_net::shared::{self, AsyncNotifier};
use crosstie_shm::{
    ByteRing, Directory, Latest, LockError, Mutex, MutexGuard, Pool, ReceiveError, Region, RegionGuard, Ring, RwLock,
    SegmentName, Semaphore, SendError, SizeClass, TxGuard, TxRegion, WriteGuard, deadline_after,
};

fn soon() -> Deadline {
    deadline_after(Duration::from_secs(60))
}

fn shortly() -> Deadline {
    deadline_after(Duration::from_millis(20))
}

fn name(text: &str) -> SegmentName {
    text.parse().unwrap()
}

/// As many messages as a ring of two slots has to be waited for, in both directions.
const MESSAGES: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_and_come_in_order() {
    let ring = Ring::<u64>::anonymous(2).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    let sending = tokio::spawn(async move {
        for message in 0..MESSAGES {
            shared::send(&mut sender, message, soon()).await.unwrap();
        }
    });
    for expected in 0..MESSAGES {
        assert_eq!(shared::receive(&mut receiver, soon()).await.unwrap(), expected);
    }
    sending.await.unwrap();
    assert!(matches!(shared::receive(&mut receiver, soon()).await, Err(ReceiveError::Closed)));
}

#[tokio::test]
async fn frames_go_and_come_in_order() {
    let ring = ByteRing::anonymous(256).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    let sending = tokio::spawn(async move {
        for number in 0..100_u8 {
            shared::send_frame(&mut sender, &vec![number; usize::from(number)], soon()).await.unwrap();
        }
    });
    for number in 0..100_u8 {
        let frame = shared::receive_frame(&mut receiver, soon()).await.unwrap();
        assert_eq!(*frame, *vec![number; usize::from(number)]);
    }
    sending.await.unwrap();
}

/// A receive that is dropped again and again takes nothing along.
#[tokio::test]
async fn a_wait_that_is_dropped_loses_nothing() {
    let ring = Ring::<u64>::anonymous(2).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    let sending = tokio::spawn(async move {
        for message in 0..MESSAGES {
            shared::send(&mut sender, message, soon()).await.unwrap();
        }
    });
    let mut expected = 0;
    let mut dropped = 0;
    while expected < MESSAGES {
        tokio::select! {
            biased;
            () = tokio::task::yield_now(), if dropped % 2 == 0 => dropped += 1,
            message = shared::receive(&mut receiver, soon()) => {
                assert_eq!(message.unwrap(), expected);
                expected += 1;
                dropped += 1;
            }
        }
    }
    sending.await.unwrap();
}

/// The control: a receive that takes the message before it waits for something else loses it when it is dropped.
#[tokio::test]
async fn control_a_wait_that_takes_before_it_is_done_loses_messages() {
    let ring = Ring::<u64>::anonymous(4).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let careless = async {
        let message = receiver.try_receive().unwrap();
        tokio::task::yield_now().await;
        message
    };
    tokio::select! {
        biased;
        _ = careless => panic!("it waits once"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(shared::receive(&mut receiver, soon()).await.unwrap(), 2);
}

#[tokio::test]
async fn a_deadline_ends_every_wait() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::at(folder.path().join("segments")).unwrap();
    let ring = Ring::<u64>::anonymous(1).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    assert!(matches!(shared::receive(&mut receiver, shortly()).await, Err(ReceiveError::TimedOut)));
    sender.try_send(1).unwrap();
    assert!(matches!(shared::send(&mut sender, 2, shortly()).await, Err(SendError::TimedOut(2))));
    // However late it is, what is there is had.
    assert_eq!(shared::receive(&mut receiver, Deadline::at(crosstie_core::Mono::ZERO)).await.unwrap(), 1);

    let value = Latest::<u64>::anonymous(1).unwrap();
    let mut reader = value.reader().unwrap();
    assert!(matches!(shared::newer(&mut reader, 0, shortly()).await, Err(ReceiveError::TimedOut)));

    let pool = Pool::anonymous(&[SizeClass { bytes: 64, buffers: 1 }]).unwrap();
    let loan = shared::loan(&pool, 8, shortly()).await.unwrap();
    assert!(loan.is_some() && shared::loan(&pool, 8, shortly()).await.unwrap().is_none());

    let permits = Semaphore::create(&directory, &name("permits"), 1).unwrap();
    let _permit = shared::acquire(&permits, 1, shortly()).await.unwrap();
    assert!(matches!(shared::acquire(&permits, 1, shortly()).await, Err(LockError::TimedOut { .. })));
    assert!(matches!(shared::acquire(&permits, 2, shortly()).await, Err(LockError::TooMany { .. })));

    let mutex = Mutex::create(&directory, &name("mutex"), 0_u64).unwrap();
    let _guard = mutex.try_lock().unwrap();
    assert!(matches!(shared::lock(&mutex, shortly()).await, Err(LockError::TimedOut { .. })));

    let region = Region::create(&directory, &name("region"), 0_u64).unwrap();
    let _guard = region.try_lock().unwrap();
    assert!(matches!(shared::lock_region(&region, shortly()).await, Err(LockError::TimedOut { .. })));

    let tx = TxRegion::<u64>::create(&directory, &name("tx"), 64, |_| ()).unwrap();
    let _guard = tx.try_lock().unwrap();
    assert!(matches!(shared::lock_tx_region(&tx, shortly()).await, Err(LockError::TimedOut { .. })));

    let rw = RwLock::create(&directory, &name("rw"), 0_u64).unwrap();
    let reader = rw.try_read().unwrap();
    assert!(shared::read(&rw, shortly()).await.is_ok());
    assert!(matches!(shared::write(&rw, shortly()).await, Err(LockError::TimedOut { .. })));
    drop(reader);
    let _writer = shared::write(&rw, shortly()).await.unwrap();
    assert!(matches!(shared::read(&rw, shortly()).await, Err(LockError::TimedOut { .. })));

    let mut notifier = AsyncNotifier::new().unwrap();
    assert!(notifier.ready(shortly()).await.unwrap().is_empty());
}

fn add_one<G: DerefMut<Target = u64>>(mut guard: G, commit: impl FnOnce(G) -> u64) {
    *guard += 1;
    commit(guard);
}

fn add_one_in_place(mut guard: TxGuard<'_, u64>) {
    *guard.edit(|value| value).unwrap() += 1;
    guard.commit();
}

/// Sixteen tasks take turns at every lock that there is; none is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_waits_for_a_lock_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::at(folder.path().join("segments")).unwrap();
    let permits = Arc::new(Semaphore::create(&directory, &name("permits"), 2).unwrap());
    let mutex = Arc::new(Mutex::create(&directory, &name("mutex"), 0_u64).unwrap());
    let region = Arc::new(Region::create(&directory, &name("region"), 0_u64).unwrap());
    let tx = Arc::new(TxRegion::<u64>::create(&directory, &name("tx"), 64, |_| ()).unwrap());
    let rw = Arc::new(RwLock::create(&directory, &name("rw"), 0_u64).unwrap());
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (permits, mutex) = (Arc::clone(&permits), Arc::clone(&mutex));
            let (region, tx, rw) = (Arc::clone(&region), Arc::clone(&tx), Arc::clone(&rw));
            tokio::spawn(async move {
                for _ in 0..20 {
                    let _permit = shared::acquire(&permits, 1, soon()).await.unwrap();
                    tokio::task::yield_now().await;
                    add_one(shared::lock(&mutex, soon()).await.unwrap().into_guard(), MutexGuard::commit);
                    add_one(shared::lock_region(&region, soon()).await.unwrap().into_guard(), RegionGuard::commit);
                    add_one(shared::write(&rw, soon()).await.unwrap().into_guard(), WriteGuard::commit);
                    add_one_in_place(shared::lock_tx_region(&tx, soon()).await.unwrap().into_guard());
                    drop(shared::read(&rw, soon()).await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(mutex.snapshot(soon()).unwrap(), 16 * 20);
    assert_eq!(region.snapshot(soon()).unwrap(), 16 * 20);
    assert_eq!(*tx.try_lock().unwrap().guard, 16 * 20);
    assert_eq!(rw.snapshot(soon()).unwrap(), 16 * 20);
    assert_eq!(permits.free(), 2);
}

#[tokio::test]
async fn one_task_waits_for_several_objects() {
    let rings: Vec<_> = (0..3).map(|_| Ring::<u64>::anonymous(2).unwrap()).collect();
    let mut senders: Vec<_> = rings.iter().map(|ring| ring.sender().unwrap()).collect();
    let mut receivers: Vec<_> = rings.iter().map(|ring| ring.receiver().unwrap()).collect();
    let mut notifier = AsyncNotifier::new().unwrap();
    let mut came = Vec::new();
    let mut keys = vec![0, 1, 2];
    let mut next = [2_usize, 0, 1].into_iter();
    while came.len() < 3 {
        for key in keys {
            let receiver = &mut receivers[usize::try_from(key).unwrap()];
            if receiver.arm(notifier.notifier(), key).unwrap() {
                came.push((key, receiver.try_receive().unwrap()));
            }
        }
        if came.len() == 3 - next.len()
            && let Some(which) = next.next()
        {
            senders[which].try_send(which as u64 * 10).unwrap();
        }
        keys = if came.len() < 3 { notifier.ready(soon()).await.unwrap() } else { Vec::new() };
        assert!(came.len() == 3 || !keys.is_empty());
    }
    assert_eq!(came, [(2, 20), (0, 0), (1, 10)]);
}
