//! Shared memory and locks between two processes on two processors, against the cache line itself, raw futexes, and rivals.
//!
//! `crosstie-bench-shm [CASE…]` prints one table. The parent is bound to processor 0 and starts itself again as `peer CASE FOLDER`, bound
//! to processor 1, or to 0 as well where a case says so. All cases run in turn, several times over, and the middle of all counts.

#![forbid(unsafe_code)]

mod case;
mod floor;
mod locks;
mod pools;
mod rings;
#[cfg(feature = "rivals")]
mod rivals;
mod table;

use std::{path::PathBuf, process::ExitCode};

use case::{Case, Failure, Side, Unit};
use table::Table;

/// Passes through all cases, unless the environment says otherwise.
const PASSES: usize = 5;

fn cases() -> Vec<Case> {
    use Unit::{Alone, OneWay, RoundTrip};
    let mut cases = vec![
        Case::new("floor-1-line", RoundTrip, floor::one_line),
        Case::new("floor-2-lines", RoundTrip, floor::two_lines),
        Case::new("ring-48", RoundTrip, rings::round_trip::<6>),
        Case::new("ring-56", RoundTrip, rings::round_trip::<7>),
        Case::new("ring-64", RoundTrip, rings::round_trip::<8>),
        Case::new("byte-ring-64", RoundTrip, rings::bytes_round_trip),
        Case::new("ring-64-one-way", OneWay, rings::one_way::<8>),
        Case::new("ring-64-one-way-batches", OneWay, rings::one_way_in_batches::<8>),
        Case::new("ring-56-one-way", OneWay, rings::one_way::<7>),
        Case::new("ring-8-one-way", OneWay, rings::one_way::<1>),
        Case::new("loan-64", RoundTrip, pools::round_trip::<64>),
        Case::new("loan-1MiB", RoundTrip, pools::round_trip::<{ 1 << 20 }>),
        Case::new("futex-1-core", RoundTrip, floor::futex).on_one_processor(),
        Case::new("futex-timed-1-core", RoundTrip, floor::timed_futex).on_one_processor(),
        Case::new("ring-56-parked-1-core", RoundTrip, rings::parked).on_one_processor(),
        Case::new("std-mutex", Alone, locks::std_mutex),
        Case::new("pthread-robust", Alone, locks::robust),
        Case::new("mutex", Alone, locks::mutex),
        Case::new("mutex-64-commit", Alone, locks::commit::<8>),
        Case::new("mutex-4KiB-commit", Alone, locks::commit::<512>),
        Case::new("region-64-commit", Alone, locks::region),
        Case::contended("pthread-robust-contended", locks::robust_contended),
        Case::contended("mutex-contended", locks::contended),
    ];
    cases.extend(rivals());
    cases
}

#[cfg(feature = "rivals")]
fn rivals() -> Vec<Case> {
    use Unit::{Alone, OneWay, RoundTrip};
    vec![
        Case::new("iceoryx2-64", RoundTrip, rivals::iceoryx_round_trip),
        Case::new("iceoryx2-64-one-way", OneWay, rivals::iceoryx_one_way).of(200_000),
        Case::new("shmem-ipc-64", RoundTrip, rivals::shmem_round_trip),
        Case::new("shmem-ipc-64-one-way", OneWay, rivals::shmem_one_way),
        Case::new("ipc-channel-64", RoundTrip, rivals::channel_round_trip).of(5_000),
        Case::new("ipc-channel-64-one-way", OneWay, rivals::channel_one_way).of(20_000),
        Case::program("boost-queue-64", RoundTrip, rivals::boost::round_trip),
        Case::program("boost-queue-64-one-way", OneWay, rivals::boost::one_way),
        Case::new("lmdb-64-commit", Alone, rivals::transaction).of(100_000),
    ]
}

#[cfg(not(feature = "rivals"))]
const fn rivals() -> Vec<Case> {
    Vec::new()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cases = cases();
    if let [first, name, folder] = &arguments[..]
        && first == "peer"
    {
        let case = cases.iter().find(|case| case.name == name).ok_or("no such case")?;
        return case.run(Side::Peer, &PathBuf::from(folder)).map(|_| ());
    }
    let passes = std::env::var("PASSES").map_or(Ok(PASSES), |passes| passes.parse())?;
    let is_wanted =
        |case: &Case| arguments.is_empty() || arguments.iter().any(|name| case.name.starts_with(name.as_str()));
    let mut table = Table::of(cases.into_iter().filter(is_wanted));
    for _ in 0..passes {
        table.pass()?;
    }
    println!("{table}");
    Ok(())
}
