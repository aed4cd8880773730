//! The course over one endpoint of the user's choice.

use std::{env, time::Duration};

use crosstie_core::{Endpoint, Target};

use super::{
    course::{self, Course, Figures, Flow},
    host::Host,
    line::Kind,
    percentiles::time,
};
use crate::{
    args::BenchArgs,
    exit::{Code, Failure},
    output::Output,
    scratch::{Scratch, sweep},
    values::size_text,
};

/// How the directories in which both ends meet are named.
pub(super) const PREFIX: &str = "crosstie-bench-";
/// How many messages per second leave in the open loop, unless set.
pub(super) const RATE: u64 = 1000;
/// Bytes of a message, unless set.
pub(super) const SIZE: u32 = 64;
/// How many parts the course has.
const PARTS: u32 = 4;

pub(super) fn run(args: &BenchArgs, endpoint: &Endpoint, output: &Output) -> Result<(), Failure> {
    let kind = kind(args, endpoint)?;
    refuse_crowds(args)?;
    // What a measurement that was interrupted has left.
    sweep(&env::temp_dir(), PREFIX, |_| true);
    let scratch = scratch()?;
    let course = Course {
        size: args.size.unwrap_or(SIZE) as usize,
        rate: args.rate.unwrap_or(RATE),
        part: (args.seconds / PARTS).max(Duration::from_millis(10)),
    };
    if output.is_watched() {
        output.note(&format!("measuring for about {} s …", args.seconds.as_secs_f64()));
    }
    let host = Host::now();
    let figures = course::run(kind, endpoint, &control(endpoint, &scratch)?, &course)
        .map_err(|error| Failure::on_the_way(error.kind(), error.to_string()))?;
    let mut value = figures.json();
    value["endpoint"] = endpoint.to_string().into();
    value["what"] = kind.word().into();
    value["host"] = host.json();
    output.data(&value, || text(endpoint, kind, &figures, &host).into_bytes())
}

/// Between two ends there is one on each side.
pub(super) fn refuse_crowds(args: &BenchArgs) -> Result<(), Failure> {
    match (args.pubs, args.subs) {
        (1, 1) => Ok(()),
        _ => Err(Failure::usage("--pubs and --subs are of a broker: an endpoint has one at each end")),
    }
}

/// A directory in which both ends meet.
pub(super) fn scratch() -> Result<Scratch, Failure> {
    let parent = env::temp_dir();
    Scratch::new(&parent, PREFIX).map_err(|error| {
        let text =
            format!("no directory can be made in '{}', which TMPDIR may name another of: {error}", parent.display());
        Failure::new(Code::Failure, "io", text)
    })
}

/// Where both ends talk about what they do. Over `mem:` they are in one process.
pub(super) fn control(endpoint: &Endpoint, scratch: &Scratch) -> Result<Endpoint, Failure> {
    let text = match endpoint.target() {
        Target::Mem { name } => format!("mem:{name}.control"),
        _ => format!("unix:{}/control", scratch.path().display()),
    };
    text.parse().map_err(|error| Failure::usage(format!("the directory for temporary files: {error}")))
}

fn kind(args: &BenchArgs, endpoint: &Endpoint) -> Result<Kind, Failure> {
    let what = endpoint.target().scheme();
    if args.datagrams || what == "udp" {
        return match what {
            "udp" | "unix" | "mem" | "shm" if !args.channel => Ok(Kind::Datagrams),
            _ => Err(Failure::usage(format!("'{endpoint}' carries no datagrams: udp: unix: mem: and shm: do"))),
        };
    }
    match what {
        "fd" | "exec" => Err(Failure::usage(format!(
            "'{what}:' is whatever is behind it: measure 'pipe:', which is how a child is reached"
        ))),
        "http" | "https" => Err(Failure::usage(format!("'{what}:' is not measured here"))),
        "pipe" | "fifo" if args.channel => {
            Err(Failure::usage(format!("a channel over '{what}:' is not measured: unix: shm: tcp: and mem: are")))
        }
        "pipe" => Ok(Kind::Pipe),
        "fifo" => Ok(Kind::Fifo),
        _ if args.channel => Ok(Kind::Channel),
        _ => Ok(Kind::Bytes),
    }
}

fn text(endpoint: &Endpoint, kind: Kind, figures: &Figures, host: &Host) -> String {
    let mut text = format!("{endpoint}, {}, messages of {}\n", kind.word(), size_text(figures.small.size as u64));
    if let Some(times) = &figures.round_trip {
        text += &format!("round trip    {}\n", times.line());
    }
    text += &format!("one way       {}\n", flow(&figures.small));
    if let Some(large) = &figures.large {
        text += &format!("{:<14}{}\n", size_text(large.size as u64), flow(large));
    }
    let paced = &figures.paced;
    text += &format!("at {:>6}/s   {}", paced.rate, paced.latency.line());
    if paced.received < paced.sent {
        text += &format!("  lost {}", paced.sent - paced.received);
    }
    text += "\n";
    if paced.missed {
        text += "THE RATE WAS MISSED: the latencies at it are those of a queue that grows\n";
    }
    text + &format!("host: {}\n", host.line())
}

fn flow(flow: &Flow) -> String {
    let lost = if flow.lost() > 0 { format!("  LOST {:.1} %", lost(flow)) } else { String::new() };
    let bytes = size_text(flow.bytes_per_second() as u64);
    format!("{}/s  {bytes}/s  processor {} each{lost}", count(flow.per_second), time(flow.processor as u64))
}

/// How much of it was lost, in hundredths.
pub(super) fn lost(flow: &Flow) -> f64 {
    100.0 * flow.lost() as f64 / flow.sent.max(1) as f64
}

/// A number for people: 1.25 M, 830 k.
pub(super) fn count(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.2} M", n / 1e6),
        n if n >= 1e3 => format!("{:.0} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}
