//! `crosstie bench`: what a way to talk costs on this machine.
//!
//! ```text
//! broker     rate and latency through a broker, with many publishers and subscribers
//! course     what is measured over any other endpoint: round trips, one way, open loop
//! line/      one file per kind: bytes, datagrams, channels, a ring, a broker
//! far        the other end, a process of its own, and how it is told what to do
//! compare    the course over every way of this machine, a table of it       way        which those are
//! percentiles  how long things took, and in words
//! picture    the same as an SVG             advice     which to use for what
//! ```

mod advice;
mod broker;
mod compare;
mod course;
mod endpoint;
pub(crate) mod far;
mod host;
mod line;
mod percentiles;
mod picture;
mod way;

use crosstie_core::{Endpoint, Target};

use crate::{args::BenchArgs, exit::Failure, output::Output};

pub(crate) fn run(args: &BenchArgs, server: &str, output: &Output) -> Result<(), Failure> {
    if let Some(control) = &args.far {
        return far::serve(control);
    }
    if args.compare {
        return compare::run(args, output);
    }
    match &args.endpoint {
        None => broker::run(args, server, output),
        Some(text) => {
            let endpoint: Endpoint = text.parse().map_err(|error| Failure::usage(format!("ENDPOINT: {error}")))?;
            if matches!(endpoint.target(), Target::Nats { .. }) {
                return broker::run(args, text, output);
            }
            endpoint::run(args, &endpoint.trusted(), output)
        }
    }
}
