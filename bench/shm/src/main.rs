//! Shared memory between two processes on two processors, against the cache line itself, and raw futexes.
//!
//! `crosstie-bench-shm [CASE…]` prints a line per case. The parent is bound to processor 0 and starts itself again as `peer CASE FOLDER`, bound
//! to processor 1, or to 0 as well where a case says so.

#![forbid(unsafe_code)]

mod case;
mod floor;
mod pools;
mod rings;

use std::{path::PathBuf, process::ExitCode};

use case::{Case, Failure, Side, Unit};

fn cases() -> Vec<Case> {
    vec![
        Case::new("floor-1-line", Unit::RoundTrip, floor::one_line),
        Case::new("floor-2-lines", Unit::RoundTrip, floor::two_lines),
        Case::new("ring-48", Unit::RoundTrip, rings::round_trip::<6>),
        Case::new("ring-56", Unit::RoundTrip, rings::round_trip::<7>),
        Case::new("ring-64", Unit::RoundTrip, rings::round_trip::<8>),
        Case::new("byte-ring-64", Unit::RoundTrip, rings::bytes_round_trip),
        Case::new("ring-64-one-way", Unit::OneWay, rings::one_way::<8>),
        Case::new("ring-64-one-way-batches", Unit::OneWay, rings::one_way_in_batches::<8>),
        Case::new("ring-8-one-way", Unit::OneWay, rings::one_way::<1>),
        Case::new("ring-56-one-way", Unit::OneWay, rings::one_way::<7>),
        Case::new("loan-64", Unit::RoundTrip, pools::round_trip::<64>),
        Case::new("loan-1MiB", Unit::RoundTrip, pools::round_trip::<{ 1 << 20 }>),
        Case::new("futex-1-core", Unit::RoundTrip, floor::futex).on_one_processor(),
        Case::new("ring-56-parked-1-core", Unit::RoundTrip, rings::parked).on_one_processor(),
    ]
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
    for case in &cases {
        if arguments.is_empty() || arguments.iter().any(|name| case.name.starts_with(name.as_str())) {
            println!("{}", case.measure()?);
        }
    }
    Ok(())
}
