//! The course over every way to talk that this machine has.

use std::{
    env, fs, io,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use crosstie::blocking::Client;
use crosstie_core::{Endpoint, Error};
use serde_json::{Value, json};

use super::{
    advice,
    course::{self, Course, Figures},
    endpoint::{PREFIX, RATE, SIZE, control, count, lost, refuse_crowds, scratch},
    host::Host,
    line::{Kind, PATIENCE},
    percentiles::time,
    picture,
    way::{Row, WAYS, Way},
};
use crate::{
    args::BenchArgs,
    exit::Failure,
    output::Output,
    scratch::{Scratch, sweep},
};

/// What part of the time that the user gives each part of the course takes over each way: with three seconds all of it is done in some
/// twenty.
const PARTS: u32 = 9;

pub(super) fn run(args: &BenchArgs, output: &Output) -> Result<(), Failure> {
    refuse_crowds(args)?;
    if let Some(path) = &args.svg {
        // A place where nothing can be written is told before twenty seconds have passed.
        fs::File::options().append(true).create(true).open(path).map_err(|error| undrawn(path, &error))?;
    }
    sweep(&env::temp_dir(), PREFIX, |_| true);
    let course = Course {
        size: args.size.unwrap_or(SIZE) as usize,
        rate: args.rate.unwrap_or(RATE),
        part: args.seconds / PARTS,
    };
    let host = Host::now();
    let begun = Instant::now();
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for (index, way) in WAYS.iter().enumerate() {
        if output.is_watched() {
            output.note(&format!("{} of {}: {} …", index + 1, WAYS.len(), way.name));
        }
        match measure(way, &course) {
            Ok(figures) => rows.push(Row { way: *way, figures }),
            // The others are worth as much without it; that it is missing is said.
            Err(failure) => failed.push((way.name, failure.to_string())),
        }
    }
    if rows.is_empty() {
        let all: Vec<_> = failed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        return Err(Failure::new(crate::exit::Code::Failure, "bench", all.join("\n")));
    }
    let advice = advice::of(&rows);
    if let Some(path) = &args.svg {
        draw(path, &picture::of(&rows, &advice, &host, &course))?;
    }
    let value = json!({
        "ways": rows.iter().map(row_json).collect::<Vec<_>>(),
        "failed": failed.iter().map(|(name, why)| json!({ "way": name, "why": why })).collect::<Vec<_>>(),
        "advice": advice.iter().map(advice::Advice::json).collect::<Vec<_>>(),
        "seconds": begun.elapsed().as_secs_f64(), "host": host.json(), "svg": args.svg,
    });
    output.data(&value, || table(&rows, &failed, &advice, &course, &host, args.svg.as_deref()).into_bytes())
}

fn draw(path: &Path, picture: &str) -> Result<(), Failure> {
    fs::write(path, picture).map_err(|error| undrawn(path, &error))
}

fn undrawn(path: &Path, error: &io::Error) -> Failure {
    Failure::new(crate::exit::Code::Failure, "io", format!("--svg: cannot write '{}': {error}", path.display()))
}

fn measure(way: &Way, course: &Course) -> Result<Figures, Failure> {
    let scratch = scratch()?;
    let place = match way.kind {
        _ if way.endpoint.contains("{}/") => scratch.path().display().to_string(),
        _ => format!("crosstie-bench-{:08x}", fastrand::u32(..)),
    };
    let endpoint = way.endpoint.replace("{}", &place);
    let endpoint: Endpoint = endpoint.parse().map_err(|error| Failure::usage(format!("{endpoint}: {error}")))?;
    let endpoint = endpoint.trusted();
    let _broker = if way.kind == Kind::Broker { Some(Broker::start(&scratch, &endpoint)?) } else { None };
    Ok(course::run(way.kind, &endpoint, &control(&endpoint, &scratch)?, course)?)
}

/// A broker of its own, for as long as it is measured.
struct Broker(Child);

impl Broker {
    fn start(scratch: &Scratch, endpoint: &Endpoint) -> Result<Self, Error> {
        let listen = endpoint.to_string().replace("nats+unix:", "unix:");
        let log = fs::File::create(scratch.path().join("broker.log"))?;
        let mut command = Command::new(env::current_exe()?);
        command.args(["serve", "--listen", &listen]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let broker = Self(command.spawn()?);
        let until = Instant::now() + PATIENCE;
        // It listens a moment after it has begun.
        while let Err(error) = Client::connect(endpoint.to_string().as_str()) {
            if Instant::now() > until {
                return Err(error);
            }
        }
        Ok(broker)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn row_json(row: &Row) -> Value {
    let mut value = row.figures.json();
    value["way"] = row.way.name.into();
    value
}

fn table(
    rows: &[Row],
    failed: &[(&str, String)],
    advice: &[advice::Advice],
    course: &Course,
    host: &Host,
    svg: Option<&Path>,
) -> String {
    let size = course.size;
    let mut text = format!(
        "{:<16}{:>19}{:>11}{:>11}{:>15}{:>8}\n{:<16}{:>19}{:>11}{:>11}{:>15}{:>8}\n",
        "",
        "round trip p50, p99",
        format!("{size} B"),
        "64 KiB",
        format!("at {}/s p99", course.rate),
        "cpu",
        "",
        "",
        "messages/s",
        "bytes/s",
        "",
        "each"
    );
    for Row { way, figures } in rows {
        let trip = figures.round_trip.as_ref();
        let trip =
            trip.map_or_else(|| "one way".to_owned(), |trip| format!("{} {:>9}", time(trip.p50), time(trip.p99)));
        let large = figures.large.as_ref();
        let large = large.map_or_else(|| "-".to_owned(), |large| format!("{:.2} GB/s", large.bytes_per_second() / 1e9));
        text += &format!(
            "{:<16}{trip:>19}{:>11}{large:>11}{:>15}{:>8}",
            way.name,
            count(figures.small.per_second),
            time(figures.paced.latency.p99),
            time(figures.small.processor as u64),
        );
        let lossy = std::iter::once(&figures.small).chain(&figures.large).map(lost).fold(0.0, f64::max);
        text += &if lossy > 0.05 {
            format!("\n{:<16}loses up to {lossy:.0} % where the receiver does not keep up\n", "")
        } else {
            "\n".to_owned()
        };
    }
    for (name, why) in failed {
        text += &format!("{name:<16}NOT MEASURED: {why}\n");
    }
    text += "\nWhich to use here:\n";
    for advice in advice {
        text += &format!("  {}\n", advice.text());
    }
    text += &format!("\nhost: {}\n", host.line());
    match svg {
        Some(path) => text += &format!("picture: {}\n", path.display()),
        None => text += "'--svg FILE' draws it.\n",
    }
    text
}
