//! `crosstie pipe`: joins any two ends of streams.

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use crosstie_core::Error;
use crosstie_net::Connection;
use serde_json::json;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Semaphore, mpsc},
};

use super::{
    end::{Coming, End, Gate, RULE, Unless, peer_text},
    interrupt::{Interrupt, end_by},
    join::{Meter, Side, Terms, join},
    progress::Progress,
    report::Report,
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
    let joiner = Joiner::new(args, ends, output);
    if joiner.serves_many() {
        joiner.check_tees()?;
    }
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let mut interrupt = Interrupt::watch()?;
        let gates = joiner.open()?;
        tokio::select! {
            outcome = joiner.serve(gates) => outcome.map(Ok),
            signal = interrupt.signal() => Ok(Err(signal)),
        }
    });
    // What listened is put away by now.
    match outcome? {
        Ok(()) => Ok(()),
        Err(signal) => Err(end_by(signal)),
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// What all joins of one command share.
struct Joiner {
    ends: [End; 2],
    once: bool,
    tees: [Option<String>; 2],
    rate: Option<u64>,
    idle: Option<Duration>,
    lingers: [Option<Duration>; 2],
    connect_timeout: Duration,
    connections: u16,
    output: Output,
}

impl Joiner {
    fn new(args: &PipeArgs, ends: [End; 2], output: &Output) -> Arc<Self> {
        let unless_said = |end: &End| {
            let is_person = matches!(end, End::Standard) && io::stdin().is_terminal();
            args.linger.or_else(|| is_person.then_some(Duration::ZERO))
        };
        let lingers = ends.each_ref().map(unless_said);
        Arc::new(Self {
            ends,
            once: args.once,
            tees: [args.tee.clone(), args.tee_back.clone()],
            rate: args.rate,
            idle: args.idle,
            lingers,
            connect_timeout: args.connect_timeout,
            connections: args.connections,
            output: output.clone(),
        })
    }

    /// True if it goes on after a connection has ended.
    fn serves_many(&self) -> bool {
        let listens = self.ends.iter().any(|end| matches!(end, End::Listen(_)));
        listens && !self.once && !self.ends.iter().any(End::is_single)
    }

    fn check_tees(&self) -> Result<(), Failure> {
        for (name, option) in self.tees.iter().zip(["--tee", "--tee-back"]) {
            if name.as_ref().is_some_and(|name| !name.contains("{{count}}")) {
                let text = format!(
                    "{option}: expected {{{{count}}}} in the name, for each connection its own file, or --once"
                );
                return Err(Failure::usage(text));
            }
        }
        Ok(())
    }

    /// Opens both ends as far as that can be done before anybody comes.
    fn open(&self) -> Result<[Gate; 2], Failure> {
        let gates = [self.ends[0].open()?, self.ends[1].open()?];
        for gate in &gates {
            if let Gate::Listener(listener) = gate {
                let at = listener.get_ref().endpoint().to_string();
                self.output.event_with("listening", &format!("listening on {at}"), &[("endpoint", json!(at))]);
            }
        }
        Ok(gates)
    }

    async fn serve(self: &Arc<Self>, gates: [Gate; 2]) -> Result<(), Failure> {
        if self.serves_many() {
            return self.serve_many(gates).await;
        }
        let pair = accept(&gates).await?;
        // One is served: nobody else need try.
        drop(gates);
        let meter = Arc::new(Meter::default());
        let is_seen = self.output.is_watched() && !(self.uses_standard_output() && io::stdout().is_terminal());
        let progress = is_seen.then(|| Progress::show(Arc::clone(&meter)));
        let report = self.join(1, pair, &meter).await;
        drop(progress);
        let report = report?;
        if is_seen {
            self.output.note(&report.text());
        }
        self.tell(&report)?;
        report.verdict()
    }

    /// Serves whoever comes, each in a thread of its own, so that a copy on a slow disk holds up nobody else.
    async fn serve_many(self: &Arc<Self>, gates: [Gate; 2]) -> Result<(), Failure> {
        let places = Arc::new(Semaphore::new(usize::from(self.connections)));
        let (done, mut ended) = mpsc::unbounded_channel::<(u64, Result<Report, Failure>)>();
        let mut number = 0;
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
                (place, accept(&gates).await)
            };
            tokio::select! {
                // The end of one is told before the next, who got its place, is welcomed.
                biased;
                Some((number, outcome)) = ended.recv() => self.farewell(number, outcome)?,
                (place, pair) = next => {
                    let pair = match pair {
                        Ok(pair) => pair,
                        Err(error) => {
                            self.output.event("accept", &format!("cannot accept: {error}"));
                            // Mostly for want of descriptors, which come back with time.
                            tokio::time::sleep(Duration::from_millis(100)).await;
                            continue;
                        }
                    };
                    number += 1;
                    self.welcome(number, &pair);
                    let (joiner, done) = (Arc::clone(self), done.clone());
                    thread::Builder::new().name(format!("crosstie-join-{number}")).spawn(move || {
                        let outcome = runtime().map_err(Failure::from).and_then(|runtime| {
                            runtime.block_on(joiner.join(number, pair, &Meter::default()))
                        });
                        // Nobody listens once the command ends.
                        let _ = done.send((number, outcome));
                        drop(place);
                    })?;
                }
            }
        }
    }

    fn welcome(&self, number: u64, pair: &[Coming; 2]) {
        let peers: Vec<_> = pair.iter().filter_map(Coming::peer).map(peer_text).collect();
        self.output.event_with(
            "connected",
            &format!("connection {number}{}", peers.join(" and")),
            &[("connection", json!(number))],
        );
    }

    fn farewell(&self, number: u64, outcome: Result<Report, Failure>) -> Result<(), Failure> {
        let told = match outcome {
            Ok(report) => {
                self.output.note(&format!("connection {number}: {}", report.text()));
                self.tell(&report)?;
                report.verdict()
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = told {
            self.output.event_with(
                "failed",
                &format!("connection {number}: {failure}"),
                &[("connection", json!(number))],
            );
        }
        Ok(())
    }

    /// The totals, in JSON.
    fn tell(&self, report: &Report) -> Result<(), Failure> {
        if !self.uses_standard_output() {
            return self.output.data(&report.json(), Vec::new);
        }
        self.output.aside(&report.json());
        Ok(())
    }

    fn uses_standard_output(&self) -> bool {
        self.ends.iter().any(End::is_standard_output)
    }

    /// Makes what is missing of a pair, and joins it until its end.
    async fn join(&self, number: u64, pair: [Coming; 2], meter: &Meter) -> Result<Report, Failure> {
        let takes_bytes = pair.each_ref().map(Coming::takes_bytes);
        let mut connections = Vec::with_capacity(2);
        for (side, coming) in Side::BOTH.into_iter().zip(pair) {
            let missing =
                |error: Error| Failure::before_sending(Error::new(error.kind(), format!("{}: {error}", side.name())));
            connections.push(coming.connect(self.connect_timeout).await.map_err(missing)?);
        }
        let [a, b] = <[Connection; 2]>::try_from(connections).ok().expect("there are two sides");
        let (peers, begun) = ([a.peer(), b.peer()], Instant::now());
        let terms = self.terms(number, takes_bytes)?;
        let ending = join(a.into_async()?, b.into_async()?, terms, meter).await;
        Ok(Report {
            number,
            names: self.ends.each_ref().map(ToString::to_string),
            peers,
            bytes: Side::BOTH.map(|side| meter.from(side)),
            took: begun.elapsed(),
            limit: self.rate,
            ending,
        })
    }

    fn terms(&self, number: u64, takes_bytes: [bool; 2]) -> Result<Terms, Failure> {
        let deadline = |end: &End| end.endpoint().and_then(|endpoint| endpoint.options().deadline);
        let is_own = self.ends.each_ref().map(End::is_standard_output);
        Ok(Terms {
            rate: self.rate,
            idle: self.idle,
            lingers: self.lingers,
            deadlines: self.ends.each_ref().map(deadline),
            takes_bytes,
            is_own,
            tees: [copy(self.tees[0].as_deref(), number)?, copy(self.tees[1].as_deref(), number)?],
            ends_output: true,
        })
    }
}

/// Both ends of a pair. The second is waited for only once the first is there.
async fn accept(gates: &[Gate; 2]) -> Result<[Coming; 2], Error> {
    Ok([gates[0].pass().await?, gates[1].pass().await?])
}

fn copy(name: Option<&str>, number: u64) -> Result<Option<File>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let name = PathBuf::from(name.replace("{{count}}", &number.to_string()));
    let cannot =
        |error| Failure::new(crate::exit::Code::Failure, "io", format!("--tee: '{}': {error}", name.display()));
    File::create(&name).map(Some).map_err(cannot)
}
