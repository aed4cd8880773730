//! Random words over everything in a live segment but its header: whatever is done with it then is an error or gives some value, and it ends.
//!
//! `CROSSTIE_DAMAGE=SEED` runs one seed, `CROSSTIE_DAMAGE=SEED..` all from there on until it is stopped.

#[expect(dead_code, reason = "no process but this one takes part")]
mod processes;

use std::{sync::mpsc, thread, time::Duration};

use crosstie_core::Deadline;
use crosstie_shm::{
    ByteRing, Keeper, Latest, Notifier, Participant, Pool, Region, Ring, RwLock, SectionKind, Segment, Semaphore,
    SizeClass, Token, TxRegion, deadline_after, sweep, sync::AtomicU64, sync::Ordering::Relaxed,
};
use processes::{name, place};

fn shortly() -> Deadline {
    deadline_after(Duration::from_millis(2))
}

#[test]
fn random_words_anywhere_are_errors_and_no_more() {
    let seeds: Box<dyn Iterator<Item = u64>> = match std::env::var("CROSSTIE_DAMAGE") {
        Ok(text) => match text.strip_suffix("..") {
            Some(first) => Box::new(first.parse().unwrap()..),
            None => Box::new(std::iter::once(text.parse().unwrap())),
        },
        Err(_) => Box::new(0..40),
    };
    for seed in seeds {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let _ = done.send(std::panic::catch_unwind(|| damaged(seed)));
        });
        let outcome = is_done.recv_timeout(Duration::from_secs(60));
        outcome.unwrap_or_else(|_| panic!("seed {seed} does not end")).unwrap_or_else(|_| panic!("seed {seed}"));
    }
}

fn damaged(seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let (_folder, directory) = place();
    let notifier = Notifier::new().unwrap();
    let classes = [SizeClass { bytes: 64, buffers: 3 }, SizeClass { bytes: 4096, buffers: 2 }];
    let region = Region::create(&directory, &name("region"), [0_u64; 4]).unwrap();
    let rw = RwLock::create(&directory, &name("rw"), 0_u64).unwrap();
    let tx = TxRegion::<[u64; 4]>::create(&directory, &name("tx"), 128, |_| ()).unwrap();
    let permits = Semaphore::create(&directory, &name("permits"), 3).unwrap();
    let pool = Pool::create(&directory, &name("pool"), &classes).unwrap();
    let latest = Latest::<[u64; 4]>::create(&directory, &name("latest"), 4).unwrap();
    let ring = Ring::<[u64; 4]>::create(&directory, &name("ring"), 4).unwrap();
    let bytes = ByteRing::create(&directory, &name("bytes"), 256).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    let (mut byte_sender, mut byte_receiver) = (bytes.sender().unwrap(), bytes.receiver().unwrap());
    let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader().unwrap());
    let theirs = Pool::of(pool.segment()).unwrap();
    let segments = [
        region.participant().segment(),
        rw.participant().segment(),
        tx.participant().segment(),
        permits.participant().segment(),
        pool.segment(),
        latest.segment(),
        ring.segment(),
        bytes.segment(),
    ];
    let mut tokens: Vec<Token> = Vec::new();
    for _ in 0..6 {
        for segment in segments {
            scribble(segment, &mut chance);
        }
        for act in 0..20 {
            match chance.u8(..14) {
                0 => drop(region.update::<_, crosstie_shm::LockError>(shortly(), |value| {
                    value[1] = value[1].wrapping_add(1);
                    Ok(())
                })),
                1 => drop(region.snapshot(shortly())),
                2 => drop((rw.read(shortly()), rw.snapshot(shortly()))),
                3 => drop(rw.write(shortly()).map(|acquired| acquired.guard.commit())),
                4 => {
                    if let Ok(mut acquired) = tx.lock(shortly()) {
                        let _ = acquired.guard.edit(|value| &value[2]).map(|part| *part = 7);
                        acquired.guard.commit();
                    }
                }
                5 => drop(permits.acquire_many(chance.u32(1..3), shortly())),
                6 => {
                    if let Ok(Some(mut loan)) = pool.loan(chance.usize(1..300), shortly()) {
                        loan.fill(3);
                        tokens.extend(loan.give(theirs.id()));
                    }
                }
                7 => {
                    if let Some(mut token) = tokens.pop() {
                        if chance.u8(..4) == 0 {
                            token = Token { buffer: chance.u32(..9), generation: chance.u32(..9), len: chance.u64(..) };
                        }
                        drop(
                            theirs.accept(token).map(|sample| sample.iter().map(|byte| u64::from(*byte)).sum::<u64>()),
                        );
                    }
                    let _ = theirs.settle(pool.id());
                    let _ = pool.waiting().arm(100, &notifier, 9);
                }
                8 => drop((writer.write(&[act; 4]), reader.load(), reader.read().map(|_| ()))),
                9 => drop((reader.wait_newer(chance.u64(..3), shortly()), reader.arm(0, &notifier, 6))),
                10 => drop((sender.send([act; 4], shortly()), receiver.receive(shortly()))),
                11 => drop((byte_sender.try_send(&[1; 40]), byte_receiver.try_receive().map(|frame| frame.len()))),
                12 => {
                    drop(region.waiting().arm(&notifier, 1));
                    drop(rw.waiting().arm_read(&notifier, 2));
                    drop(tx.waiting().arm(&notifier, 4));
                    drop(permits.waiting().arm(2, &notifier, 5));
                    let _ = (receiver.arm(&notifier, 7), sender.arm(&notifier, 8));
                }
                _ => {
                    let segment = segments[chance.usize(..segments.len())];
                    let _ = (segment.locks(), segment.events(chance.u32(..40)), segment.check());
                    if let Ok(keeper) = Keeper::of(segment) {
                        let _ = (keeper.participants(), keeper.reap_dead());
                    }
                    let _ = Participant::join(segment, "joins").map(|joined| joined.reap_dead());
                }
            }
        }
    }
    drop((sender, receiver, byte_sender, byte_receiver, writer, reader, theirs));
    let _ = (
        ring.sender().map(|_| ()),
        ring.receiver().map(|_| ()),
        latest.writer().map(|_| ()),
        latest.reader().map(|_| ()),
    );
    drop((region, rw, tx, permits, pool, latest, ring, bytes));
    sweep(&directory).unwrap();
}

/// A few words become anything.
fn scribble(segment: &Segment, chance: &mut fastrand::Rng) {
    for _ in 0..chance.u8(..5) {
        let parts = [
            SectionKind::Participants,
            SectionKind::Locks,
            SectionKind::Waiters,
            SectionKind::Events,
            SectionKind::Data,
        ];
        let section = segment.section(*chance.choice(&parts).unwrap());
        let words = usize::try_from(section.len() / 8).unwrap();
        if words == 0 {
            continue;
        }
        let words = section.records::<AtomicU64>(0, words).unwrap();
        // What is at the beginning is used the most.
        let among = if chance.bool() { words.len().min(48) } else { words.len() };
        let value = match chance.u8(..6) {
            0 => 0,
            1 => chance.u64(..8),
            2 => u64::MAX - chance.u64(..4),
            3 => 1 << chance.u8(..64),
            4 => chance.u64(..8) << 32 | chance.u64(..64),
            _ => chance.u64(..),
        };
        words[chance.usize(..among)].store(value, Relaxed);
    }
}
