//! Locks: alone, with a rollback, and contended by two processes.
//!
//! All contenders run in one process of one run, several rounds each in turn, and the median round counts. Contended, two processes
//! of one thread each take the lock, add one and give it back, as often as they can.

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use crosstie_core::Deadline;
use crosstie_shm::{Directory, Mutex, SegmentName, ShmSafe};
use crosstie_sys::trial::{MutexKind, PosixPage, fork, shared_cells};
use hdrhistogram::Histogram;

use crate::{
    error::{Error, Result},
    spread::Spread,
};

#[derive(clap::Args)]
pub(crate) struct LocksArguments {
    /// Rounds of each contender
    #[arg(long, default_value_t = 9)]
    rounds: u32,
    /// Acquisitions in a round without contention
    #[arg(long, default_value_t = 1_000_000)]
    acquisitions: u32,
    /// Milliseconds of contention
    #[arg(long, default_value_t = 1000)]
    contended_ms: u64,
}

pub(crate) fn measure(arguments: &LocksArguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let directory = Directory::at(folder.path().join("segments")).map_err(Error::during("making a directory"))?;
    alone(arguments, &directory, folder.path())?;
    contended(arguments, &directory, folder.path())
}

/// What somebody does, and its name.
type Contender<'a> = (&'a str, Box<dyn FnMut() + 'a>);

fn alone(arguments: &LocksArguments, directory: &Directory, folder: &Path) -> Result<()> {
    let standard = std::sync::Mutex::new(0_u64);
    let robust = page(folder, "alone")?;
    let plain = mutex(directory, "plain", 0_u64)?;
    let small = mutex(directory, "small", [0_u64; 8])?;
    let large = mutex(directory, "large", [0_u64; 512])?;
    let mut contenders: [Contender<'_>; 5] = [
        ("std::sync::Mutex", Box::new(|| *standard.lock().expect("nobody panics") += 1)),
        (
            "pthread, robust and shared",
            Box::new(|| {
                robust.lock_without_limit().expect("nobody dies");
                robust.unlock().expect("it is locked");
            }),
        ),
        (
            "crosstie Mutex",
            Box::new(|| {
                black_box(&*plain.lock(Deadline::NEVER).expect("nobody else has it").guard);
            }),
        ),
        ("crosstie Mutex, 64 bytes changed and committed", Box::new(|| change(&small))),
        ("crosstie Mutex, 4 KiB changed and committed", Box::new(|| change(&large))),
    ];
    let mut rounds: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..arguments.rounds {
        for ((_, act), round) in contenders.iter_mut().zip(&mut rounds) {
            let begun = Instant::now();
            for _ in 0..arguments.acquisitions {
                act();
            }
            round.push(begun.elapsed().as_nanos() as f64 / f64::from(arguments.acquisitions));
        }
    }
    for ((name, _), round) in contenders.iter().zip(&rounds) {
        let spread = Spread::of(round).ok_or_else(|| Error::new("expected at least one round, came none"))?;
        println!("{name:50} {:8.1} ns", spread.median);
    }
    Ok(())
}

fn contended(arguments: &LocksArguments, directory: &Directory, folder: &Path) -> Result<()> {
    let time = Duration::from_millis(arguments.contended_ms);
    mutex(directory, "contended", 0_u64)?;
    let ours = |_: &Path| {
        let mutex = Mutex::<u64>::open(directory, &name("contended")).expect("it was made");
        move || change_one(&mutex)
    };
    two("crosstie Mutex, contended", time, || ours(folder))?;
    page(folder, "contended")?;
    let theirs = || {
        let page = PosixPage::open(&folder.join("contended")).expect("it was made");
        move || {
            page.lock_without_limit().expect("nobody dies");
            let word = &page.words()[0];
            word.store(word.load(std::sync::atomic::Ordering::Relaxed) + 1, std::sync::atomic::Ordering::Relaxed);
            page.unlock().expect("it is locked");
        }
    };
    two("pthread, robust and shared, contended", time, theirs)
}

/// Two processes that do what `prepare` makes, for `time`.
fn two<A: FnMut()>(name: &str, time: Duration, prepare: impl Fn() -> A) -> Result<()> {
    let cells = shared_cells(4)?;
    let mut children = Vec::new();
    for index in 0..2 {
        children.push(fork(|| {
            // Two processes on two processors, as far as there are any.
            let _ = crosstie_sys::processors::pin(index);
            let mut act = prepare();
            let mut waits = Histogram::<u64>::new(3).expect("three digits");
            let begun = Instant::now();
            let mut last = begun;
            while last.duration_since(begun) < time {
                act();
                let now = Instant::now();
                waits.saturating_record(u64::try_from(now.duration_since(last).as_nanos()).unwrap_or(u64::MAX));
                last = now;
            }
            cells[index * 2].store(waits.len(), std::sync::atomic::Ordering::Relaxed);
            cells[index * 2 + 1].store(waits.value_at_quantile(0.999), std::sync::atomic::Ordering::Relaxed);
            0
        })?);
    }
    let limit = Instant::now() + time + Duration::from_secs(30);
    for mut child in children {
        child.wait_until(limit)?.ok_or_else(|| Error::new("a process did not end in time"))?;
    }
    let cell = |at: usize| cells[at].load(std::sync::atomic::Ordering::Relaxed);
    let rate = (cell(0) + cell(2)) as f64 / time.as_secs_f64() / 1e6;
    let slowest = cell(1).max(cell(3)) as f64 / 1e3;
    println!("{name:50} {rate:8.2} M/s, p99.9 {slowest:.1} us");
    Ok(())
}

fn change<const N: usize>(mutex: &Mutex<[u64; N]>) {
    let mut guard = mutex.lock(Deadline::NEVER).expect("nobody else has it").into_guard();
    guard[0] += 1;
    guard.commit();
}

fn change_one(mutex: &Mutex<u64>) {
    let mut guard = mutex.lock(Deadline::NEVER).expect("the other gives it back").into_guard();
    *guard += 1;
    guard.commit();
}

fn mutex<T: ShmSafe>(directory: &Directory, text: &str, initial: T) -> Result<Mutex<T>> {
    Mutex::create(directory, &name(text), initial).map_err(Error::during("making a mutex"))
}

fn page(folder: &Path, file: &str) -> Result<PosixPage> {
    PosixPage::create(&folder.join(file), MutexKind::Robust, 1, 1).map_err(Error::during("making a page"))
}

fn name(text: &str) -> SegmentName {
    text.parse().expect("it is made of letters")
}
