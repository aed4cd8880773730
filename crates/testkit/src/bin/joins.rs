//! `joins COMMAND [MIB]`: joins every pair of schemes by `COMMAND pipe A B`, so many MiB each, and shows how fast.

use std::{path::Path, process::ExitCode};

use crosstie_testkit::joins::{Joins, SCHEMES};

const MIB: u64 = 1024 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(command) = arguments.first() else {
        eprintln!("usage: joins COMMAND [MIB]");
        return ExitCode::from(2);
    };
    let mib = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    let joins = Joins::new(Path::new(command), mib * MIB).expect("there is room for what is sent");
    println!("MB/s, from the side to the top, {mib} MiB each, processes at both ends included");
    println!("{:5}{}", "", SCHEMES.map(|scheme| format!("{scheme:>7}")).concat());
    let mut line = 0;
    let outcome = joins.run(|joined| {
        if line == 0 {
            print!("{:5}", joined.from);
        }
        print!("{:7.0}", (mib * MIB) as f64 / 1e6 / joined.took.as_secs_f64());
        line = (line + 1) % SCHEMES.len();
        if line == 0 {
            println!();
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("\n{why}");
            ExitCode::FAILURE
        }
    }
}
