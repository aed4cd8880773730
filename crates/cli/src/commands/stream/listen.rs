//! `crosstie listen`: takes whoever comes, and prints what comes.

use std::time::Duration;

use clap::Args;

use super::{
    end::{End, Unless},
    joiner::{Joiner, patience},
};
use crate::{exit::Failure, output::Output, values::duration};

/// How long the answer of a connection that has said all may pause, where nobody sits at a terminal.
const LINGER: Duration = Duration::from_secs(10);

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie listen tcp://:9000                     print what comes, send what is
                                                  typed
  crosstie listen unix:/tmp/s --once > file       receive one
  crosstie listen unix:/tmp/s --exec 'tr a-z A-Z' a program for each who comes
  crosstie listen fifo:/tmp/log --json | jq -r .payload

Connections are served one after the other, and those who come meanwhile wait:
what comes goes to standard output, and standard input goes to whoever
is there. With --exec each is joined to the standard streams of a command of its
own, up to --connections at a time; CROSSTIE_PEER in its environment says who
has come, as in 127.0.0.1:4711 or pid=12,uid=0,gid=0.

Who has come and how it ended is told on standard error. With --json what comes
is a line for each piece that was read, as payload or payload_hex, and
the totals of each connection are one. With --once the exit code is that of
'crosstie pipe'. Without a terminal SIGHUP has the certificates of tls: read
again.")]
pub(crate) struct ListenArgs {
    /// Where: unix:/path, shm:name, fifo:/path, fd:3, tcp://:9000 (127.0.0.1), tcp://0.0.0.0:9000?insecure, tls://:9000?cert=…&key=…
    endpoint: String,
    /// Join each who comes to a shell command of its own
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// End with the first connection
    #[arg(long)]
    once: bool,
    /// End a connection when nothing has come for so long, either way
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    idle: Option<Duration>,
    /// When the other side has said all, end when nothing has come from standard input for so long [default: 0s if it is a terminal, else 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "exec")]
    linger: Option<Duration>,
    /// How many commands of --exec at a time; more wait until one has ended
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
}

pub(crate) fn run(args: &ListenArgs, output: &Output) -> Result<(), Failure> {
    let end = match End::parse("ENDPOINT", &args.endpoint, Unless::Listens)? {
        End::Standard => return Err(Failure::usage("ENDPOINT: nobody can come to '-': expected an endpoint")),
        End::Connect(_) => {
            return Err(Failure::usage("ENDPOINT: expected one to listen at; 'crosstie pipe - ENDPOINT' connects"));
        }
        end => end,
    };
    let from_us = args.linger.or_else(|| patience(&End::Standard)).or(Some(LINGER));
    let joiner = Joiner {
        lingers: [None, if args.exec.is_some() { None } else { from_us }],
        ends: [end, End::Standard],
        once: args.once,
        tees: [None, None],
        rate: None,
        idle: args.idle,
        connect_timeout: Duration::from_secs(10),
        connections: if args.exec.is_some() { args.connections } else { 1 },
        exec: args.exec.clone(),
        names: ["in", "out"],
        goes_on: true,
        output: output.clone(),
    };
    joiner.run()
}
