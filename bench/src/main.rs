//! Crosstie measured against its rivals: `load` drives one server, `broker` compares several in one table, `streams` what two processes say to
//! each other with bare sockets.

#![forbid(unsafe_code)]

mod clients;
mod columns;
mod compare;
mod contender;
mod error;
mod host;
mod load;
mod process;
mod spread;
mod streams;
mod targets;
mod wire;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::compare::{CompareArguments, compare};
use crate::error::Result;
use crate::load::{Timing, Workload, idle, paced, throughput};
use crate::streams::{PeerArguments, StreamsArguments, run_peer, streams};

#[derive(Parser)]
#[command(name = "crosstie-bench", about = "Crosstie measured against its rivals", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load one running server with raw sockets
    Load(LoadArguments),
    /// Compare our broker with nats-servers: one table
    Broker(CompareArguments),
    /// Compare streams and channels between two processes with bare sockets: one table
    Streams(StreamsArguments),
    /// The other process of `streams`
    #[command(hide = true)]
    StreamsPeer(PeerArguments),
}

#[derive(clap::Args)]
struct LoadArguments {
    /// Address of the server
    #[arg(long, default_value = "127.0.0.1:4222")]
    server: SocketAddr,
    /// Process of the server: also measure its processor time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// Workloads: PUBLISHERStoSUBSCRIBERS/BYTES, `paced/BYTES`, or `idle/CONNECTIONS` (needs --pid)
    #[arg(required = true)]
    workloads: Vec<String>,
    /// Milliseconds before measuring
    #[arg(long, default_value_t = 150)]
    warm_up_ms: u64,
    /// Milliseconds of measuring
    #[arg(long, default_value_t = 400)]
    measure_ms: u64,
    /// Microseconds from one message to the next of `paced`
    #[arg(long, default_value_t = 300)]
    every_us: u64,
    /// Repetitions of each workload
    #[arg(long, default_value_t = 1)]
    repeat: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Load(arguments) => run_load(&arguments),
        Command::Broker(arguments) => compare(&arguments),
        Command::Streams(arguments) => streams(&arguments),
        Command::StreamsPeer(arguments) => run_peer(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_load(arguments: &LoadArguments) -> Result<()> {
    let timing = Timing {
        warm_up: Duration::from_millis(arguments.warm_up_ms),
        measure: Duration::from_millis(arguments.measure_ms),
    };
    for _ in 0..arguments.repeat {
        for text in &arguments.workloads {
            if let Some(payload) = text.strip_prefix("paced/") {
                let payload = payload.parse().map_err(error::Error::during(text))?;
                let found =
                    paced(arguments.server, arguments.pid, payload, Duration::from_micros(arguments.every_us), 3000)?;
                let at = |quantile: f64| found.latency.value_at_quantile(quantile) as f64 / 1e3;
                print!("{text}: p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us", at(0.5), at(0.99), at(0.999));
                match found.cpu_share {
                    Some(share) => println!(", server used {:.1} % of a core", share * 100.0),
                    None => println!(),
                }
            } else if let Some(connections) = text.strip_prefix("idle/") {
                let connections = connections.parse().map_err(error::Error::during(text))?;
                let pid = arguments.pid.ok_or_else(|| error::Error::new("idle/N needs --pid of the server"))?;
                let found = idle(arguments.server, pid, connections)?;
                println!("{text}: {:.0} bytes per connection", found.per_connection());
            } else {
                let load: Workload = text.parse()?;
                let found = throughput(arguments.server, arguments.pid, load, timing)?;
                print!("{load}: {:.3} M/s", found.rate / 1e6);
                match found.cpu_us {
                    Some(cpu) => println!(", {cpu:.3} us of server time per delivery"),
                    None => println!(),
                }
            }
        }
    }
    Ok(())
}
