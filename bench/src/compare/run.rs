//! Runs the comparison: repetition by repetition, workload by workload, contender by contender.

use std::path::PathBuf;
use std::time::Duration;

use super::report::Report;
use super::rows::{Better, ClientFigure, ClientTable, Figure, Row};
use crate::clients::{self, Library, Side};
use crate::contender::{Contender, Role, Server};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::load::{Timing, Workload, idle, paced, throughput};
use crate::spread::Spread;

const SHAPES: [(usize, usize); 3] = [(1, 1), (1, 8), (8, 8)];
const PAYLOADS: [usize; 3] = [16, 128, 1024];
const NATS_SERVERS: [&str; 3] = ["2.15.1", "2.10.26", "2.9.10"];
const PACED_PAYLOAD: usize = 128;
const PACED_EVERY: Duration = Duration::from_micros(300);
const PACED_COUNT: u32 = 3000;
/// What the client libraries carry.
const CLIENT_LOAD: Workload = Workload::new(1, 1, 128);

/// The arguments of `broker`.
#[derive(clap::Args)]
pub(crate) struct CompareArguments {
    /// Our binary
    #[arg(long, env = "CROSSTIE_BIN", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/crosstie"))]
    crosstie: PathBuf,
    /// Versions of nats-server to compare with
    #[arg(long, value_delimiter = ',', default_values_t = NATS_SERVERS.map(str::to_owned))]
    nats: Vec<String>,
    /// Further servers, as NAME=COMMAND with {port} in the command
    #[arg(long)]
    guest: Vec<String>,
    /// Leave our broker out
    #[arg(long)]
    without_crosstie: bool,
    /// Only these: PUBLISHERStoSUBSCRIBERS/BYTES, `paced`, `idle`, `clients` (repeat or separate by commas)
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Repetitions; medians are over them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Milliseconds before measuring
    #[arg(long, default_value_t = 150)]
    warm_up_ms: u64,
    /// Milliseconds of measuring
    #[arg(long, default_value_t = 400)]
    measure_ms: u64,
    /// Connections of `idle`
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Also write everything as JSON to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The parts of a run.
struct Plan {
    loads: Vec<Workload>,
    paced: bool,
    idle: bool,
    clients: bool,
}

impl Plan {
    fn new(only: &[String]) -> Result<Self> {
        let all = only.is_empty();
        let has = |name: &str| all || only.iter().any(|one| one == name);
        let mut loads = Vec::new();
        if all {
            loads = PAYLOADS.iter().flat_map(|size| SHAPES.map(|(from, to)| Workload::new(from, to, *size))).collect();
        }
        for one in only.iter().filter(|one| !["paced", "idle", "clients"].contains(&one.as_str())) {
            loads.push(one.parse()?);
        }
        Ok(Self { loads, paced: has("paced"), idle: has("idle"), clients: has("clients") })
    }
}

/// Samples by figure and contender, and what went wrong.
struct Collected {
    contenders: Vec<Contender>,
    rows: Vec<(Figure, Vec<Vec<f64>>)>,
    problems: Vec<String>,
}

impl Collected {
    fn add(&mut self, figure: Figure, contender: usize, sample: f64) {
        let row = match self.rows.iter().position(|(known, _)| *known == figure) {
            Some(row) => row,
            None => {
                self.rows.push((figure, vec![Vec::new(); self.contenders.len()]));
                self.rows.len() - 1
            }
        };
        self.rows[row].1[contender].push(sample);
    }

    fn problem(&mut self, contender: usize, what: impl std::fmt::Display, error: &Error) {
        self.problems.push(format!("{}, {what}: {error}", self.contenders[contender].name));
    }

    fn into_rows(self) -> (Vec<Row>, Vec<String>) {
        let mut rows = self.rows;
        // Rates, then processor time, then the rest, each in the order measured.
        rows.sort_by_key(|(figure, _)| match figure {
            Figure::Rate(_) => 0,
            Figure::Cpu(_) => 1,
            _ => 2,
        });
        let judged = rows.into_iter().map(|(figure, samples)| judge(figure, &samples, &self.contenders));
        (judged.collect(), self.problems)
    }
}

/// Compares, prints the table and saves the file. A missed target is a line of the table and not an error.
///
/// # Errors
/// If nothing could be started, or a run failed: a server lost a message or ended a connection.
pub(crate) fn compare(arguments: &CompareArguments) -> Result<()> {
    let plan = Plan::new(&arguments.only)?;
    let host = Host::read();
    let contenders = contenders(arguments)?;
    let servers = contenders.iter().map(Contender::start).collect::<Result<Vec<_>>>()?;
    let timing = Timing {
        warm_up: Duration::from_millis(arguments.warm_up_ms),
        measure: Duration::from_millis(arguments.measure_ms),
    };
    let mut found = Collected { contenders, rows: Vec::new(), problems: Vec::new() };
    for repetition in 0..arguments.repeat {
        eprintln!("repetition {} of {}", repetition + 1, arguments.repeat);
        run_loads(&plan, &servers, timing, &mut found);
    }
    let mut clients = Vec::new();
    if plan.clients {
        for number in client_servers(&found.contenders) {
            let through = found.contenders[number].name.clone();
            eprintln!("client libraries through {through}");
            let rows = run_clients(&servers[number], timing, arguments.repeat, &mut found.problems);
            clients.push(ClientTable { through, rows });
        }
    }
    drop(servers);
    if plan.idle {
        eprintln!("idle connections");
        run_idle(arguments.connections, &mut found);
    }
    let contenders = found.contenders.iter().map(|one| one.name.clone()).collect();
    let (rows, problems) = found.into_rows();
    let report = Report {
        host,
        repetitions: arguments.repeat,
        warm_up_ms: arguments.warm_up_ms,
        measure_ms: arguments.measure_ms,
        contenders,
        rows,
        clients,
        problems,
    };
    print!("{}", report.table());
    if let Some(path) = &arguments.json {
        report.save(path)?;
    }
    match report.problems.len() {
        0 => Ok(()),
        count => Err(Error::new(format!("{count} runs failed, see PROBLEM above"))),
    }
}

fn contenders(arguments: &CompareArguments) -> Result<Vec<Contender>> {
    let mut all = Vec::new();
    if !arguments.without_crosstie {
        all.push(Contender::ours(&arguments.crosstie)?);
    }
    for version in &arguments.nats {
        // One that cannot be had (no network, not Debian) must not keep the others from being compared.
        match Contender::nats_server(version) {
            Ok(one) => all.push(one),
            Err(error) => eprintln!("left out: {error}"),
        }
    }
    for text in &arguments.guest {
        all.push(Contender::guest(text)?);
    }
    if all.is_empty() {
        return Err(Error::new("there is nothing to compare"));
    }
    Ok(all)
}

/// One repetition of everything but the idle connections.
fn run_loads(plan: &Plan, servers: &[Server], timing: Timing, found: &mut Collected) {
    for load in &plan.loads {
        for (number, server) in servers.iter().enumerate() {
            match throughput(server.address, Some(server.pid()), *load, timing) {
                Ok(sample) => {
                    found.add(Figure::Rate(*load), number, sample.rate / 1e6);
                    if let Some(cpu) = sample.cpu_us {
                        found.add(Figure::Cpu(*load), number, cpu);
                    }
                }
                Err(error) => found.problem(number, load, &error),
            }
        }
    }
    if !plan.paced {
        return;
    }
    for (number, server) in servers.iter().enumerate() {
        match paced(server.address, Some(server.pid()), PACED_PAYLOAD, PACED_EVERY, PACED_COUNT) {
            Ok(sample) => {
                let at = |quantile| sample.latency.value_at_quantile(quantile) as f64 / 1e3;
                found.add(Figure::PacedP50, number, at(0.5));
                found.add(Figure::PacedP99, number, at(0.99));
                found.add(Figure::PacedP999, number, at(0.999));
                if let Some(share) = sample.cpu_share {
                    found.add(Figure::PacedShare, number, share * 100.0);
                }
            }
            Err(error) => found.problem(number, "paced", &error),
        }
    }
}

/// Idle connections, each contender started afresh so that what it kept from the load is not counted.
fn run_idle(connections: usize, found: &mut Collected) {
    if let Err(error) = crate::load::raise_files(connections as u64 + 64) {
        found.problems.push(format!("idle connections: {error}"));
        return;
    }
    for number in 0..found.contenders.len() {
        let server = found.contenders[number].start();
        match server.and_then(|server| idle(server.address, server.pid(), connections)) {
            Ok(sample) => found.add(Figure::IdleBytes(connections), number, sample.per_connection()),
            Err(error) => found.problem(number, "idle connections", &error),
        }
    }
}

/// Which servers the client libraries are measured through: ours and the first nats-server, since a library that keeps up with
/// a slow server may not keep up with a fast one.
fn client_servers(contenders: &[Contender]) -> Vec<usize> {
    let first = |role| contenders.iter().position(|one| one.role == role);
    [Role::Ours, Role::Reference].into_iter().filter_map(first).collect()
}

/// Client libraries against raw sockets, through one server.
fn run_clients(server: &Server, timing: Timing, repeat: u32, problems: &mut Vec<String>) -> Vec<Row> {
    let mut figures = vec![ClientFigure::Raw];
    for library in Library::ALL {
        figures.extend([Side::Publish, Side::Subscribe].map(|side| ClientFigure::Library(library, side)));
    }
    let mut samples = vec![Vec::new(); figures.len()];
    for _ in 0..repeat {
        for (figure, samples) in figures.iter().zip(&mut samples) {
            let sample = match *figure {
                ClientFigure::Raw => throughput(server.address, None, CLIENT_LOAD, timing),
                ClientFigure::Library(library, side) => {
                    clients::throughput(server.address, library, side, CLIENT_LOAD.payload, timing)
                }
            };
            match sample {
                Ok(sample) => samples.push(sample.rate / 1e6),
                Err(error) => problems.push(format!("{}: {error}", figure.name())),
            }
        }
    }
    let spreads: Vec<_> = samples.iter().map(|samples| Spread::of(samples)).collect();
    let raw = spreads[0].as_ref().map(|raw| raw.median);
    let row = |(figure, spread): (&ClientFigure, &Option<Spread>)| {
        let pair = spread.as_ref().map(|spread| spread.median).zip(raw);
        Row {
            figure: figure.name(),
            contenders: vec![spread.clone()],
            ratio: pair.map(|(ours, raw)| ours / raw),
            target: figure.target(),
            met: pair.zip(figure.target()).map(|((ours, raw), target)| target.is_met(ours, raw)),
        }
    };
    figures.iter().zip(&spreads).map(row).collect()
}

/// Puts ours against the better reference.
fn judge(figure: Figure, samples: &[Vec<f64>], contenders: &[Contender]) -> Row {
    let spreads: Vec<_> = samples.iter().map(|samples| Spread::of(samples)).collect();
    let medians = |role| {
        let of_role = contenders.iter().zip(&spreads).filter(move |(one, _)| one.role == role);
        of_role.filter_map(|(_, spread)| spread.as_ref().map(|spread| spread.median))
    };
    let ours = medians(Role::Ours).next();
    let best = medians(Role::Reference).reduce(match figure.better() {
        Better::More => f64::max,
        Better::Less => f64::min,
    });
    let pair = ours.zip(best);
    let target = figure.target();
    Row {
        figure: figure.name(),
        contenders: spreads,
        ratio: pair.map(|(ours, best)| ours / best),
        target,
        met: pair.zip(target).map(|((ours, best), target)| target.is_met(ours, best)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_held_against_the_better_of_the_others() {
        let roles = [Role::Ours, Role::Reference, Role::Reference];
        let contenders = roles.map(|role| {
            let mut one = Contender::guest("one={port}").unwrap();
            one.role = role;
            one
        });
        let load = Workload::new(1, 1, 16);
        let rate = judge(Figure::Rate(load), &[vec![6.0], vec![2.0], vec![3.0]], &contenders);
        assert_eq!((rate.ratio, rate.met), (Some(2.0), Some(true)));
        let cpu = judge(Figure::Cpu(load), &[vec![1.0], vec![2.0], vec![4.0]], &contenders);
        assert_eq!((cpu.ratio, cpu.met), (Some(0.5), Some(false)));
        let failed = judge(Figure::Cpu(load), &[vec![], vec![2.0], vec![4.0]], &contenders);
        assert_eq!((failed.ratio, failed.met), (None, None));
    }

    #[test]
    fn what_is_chosen_is_what_runs() {
        let plan = Plan::new(&["1to8/128".to_owned(), "idle".to_owned()]).unwrap();
        assert_eq!((plan.loads.len(), plan.paced, plan.idle, plan.clients), (1, false, true, false));
        assert_eq!(Plan::new(&[]).unwrap().loads.len(), SHAPES.len() * PAYLOADS.len());
        assert!(Plan::new(&["pace".to_owned()]).is_err());
    }
}
