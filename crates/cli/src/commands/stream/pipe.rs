//! `crosstie pipe`: joins any two ends of streams.

use std::time::Duration;

use clap::Args;

use super::{
    end::{End, RULE, Unless},
    joiner::{Joiner, patience},
};
use crate::{
    exit::Failure,
    output::Output,
    values::{duration, size},
};

#[derive(Args)]
#[command(after_help = format!("Examples:
  crosstie pipe - tcp://127.0.0.1:7000            as nc does
  crosstie pipe tcp://:9000 unix:/run/app.sock    a proxy for many
  crosstie pipe listen:shm:blob - --once > blob   receive one
  crosstie pipe - shm:blob < blob                 and send it
  crosstie pipe fifo:/tmp/log 'exec:ssh host cat' a pipe to another machine
  crosstie pipe tcp://:9000 tcp://h:80 --rate 1MB a slow line

{RULE}

Each direction ends by itself, and its end is passed on, where the scheme allows
that. It is over when both have ended, or when the process at the end that
has ended is gone. Where an end listens, many are served at a time, each with a
connection of its own at the other end, until SIGINT or SIGTERM; with --once
one, and the exit code tells how it went:

  0  both directions have ended in order
  3  nobody is there       4  not allowed
  5  --idle or ?deadline=  6  an exec: has failed
  7  no connection in time
  8  the process at one end died (proved): what came may be cut short
  9  a connection was lost

With CROSSTIE_ALLOW_FAULTS=1 an end misbehaves as its ?fault= says, the same way
each time: 'tcp://:9000?fault=seed:1,delay:50ms,cut:1%'. Without a terminal
SIGHUP has the certificates of a tls: listener read again.

The message names the side, and with --json the totals do, which are on
standard output, or on standard error if standard output is one of the ends."))]
pub(crate) struct PipeArgs {
    /// One end
    a: String,
    /// The other end
    b: String,
    /// Serve one connection, and end with it
    #[arg(long)]
    once: bool,
    /// Write what goes from A to B into this file, too; {{count}} in its name is the number of the connection
    #[arg(long, value_name = "FILE")]
    tee: Option<String>,
    /// Write what goes from B to A into this file, too
    #[arg(long, value_name = "FILE")]
    tee_back: Option<String>,
    /// The most bytes per second in each direction of a connection, as in 1MB or 64KiB
    #[arg(long, value_name = "BYTES", value_parser = size)]
    rate: Option<u64>,
    /// End with code 5 when nothing has come for so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    idle: Option<Duration>,
    /// When one direction has ended, end when nothing has come in the other for so long [default: 0s where it comes from a terminal, else without limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    linger: Option<Duration>,
    /// How long connecting may take
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    connect_timeout: Duration,
    /// How many are served at a time; more wait until one has ended
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
}

pub(crate) fn run(args: &PipeArgs, output: &Output) -> Result<(), Failure> {
    let ends = [End::parse("A", &args.a, Unless::First)?, End::parse("B", &args.b, Unless::Second)?];
    if ends.iter().all(|end| matches!(end, End::Standard)) {
        return Err(Failure::usage("'-' is standard input and output both: expected another endpoint at one end"));
    }
    let joiner = Joiner {
        once: args.once || !ends.iter().any(|end| matches!(end, End::Listen(_))) || ends.iter().any(End::is_single),
        lingers: ends.each_ref().map(|end| args.linger.or_else(|| patience(end))),
        ends,
        exec: None,
        tees: [args.tee.clone(), args.tee_back.clone()],
        rate: args.rate,
        idle: args.idle,
        connect_timeout: args.connect_timeout,
        connections: args.connections,
        names: ["from a to b", "from b to a"],
        goes_on: false,
        output: output.clone(),
    };
    joiner.run()
}
