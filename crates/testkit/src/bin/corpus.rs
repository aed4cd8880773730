//! Runs the raw-protocol corpus against a server and nats-server, and tells where they differ.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crosstie_testkit::wire::{Differences, Reference, Stage, compare, read_all, read_record, write_record};

const USAGE: &str = "corpus --server PROGRAM [--reference PROGRAM] [--record] [FILTER]

Compares PROGRAM with the reference, or with what nats-server answered when it was last recorded.
--record writes the record anew from the reference, and what PROGRAM answers where it means to differ. FILTER is a part of the names of the cases to run.";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Arguments {
    server: Option<PathBuf>,
    reference: Option<PathBuf>,
    record: bool,
    filter: String,
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--server" => arguments.server = words.next().map(PathBuf::from),
                "--reference" => arguments.reference = words.next().map(PathBuf::from),
                "--record" => arguments.record = true,
                other if other.starts_with('-') => return Err(USAGE.to_owned()),
                _ => arguments.filter = word,
            }
        }
        Ok(arguments)
    }
}

fn run() -> Result<bool, String> {
    let arguments = Arguments::read()?;
    let server = absolute(arguments.server.as_deref().ok_or(USAGE)?)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut cases = read_all(&folder).map_err(|error| error.to_string())?;
    cases.retain(|case| case.name.contains(&arguments.filter));
    let mut differences = Differences::read(&folder.join("differences.txt"))?;
    differences.cases.retain(|name, _| name.contains(&arguments.filter));
    let configs = folder.join("configs");
    let stage = |program: &Path| Stage::new(program, &configs, differences.info_keys.clone());
    let (recorded, meant) = (folder.join("recorded.txt"), folder.join("meant.txt"));
    let mut reference = match &arguments.reference {
        Some(program) => Reference::Live(stage(&absolute(program)?)),
        None => Reference::Recorded(read_record(&recorded)?),
    };
    let started = Instant::now();
    let mut findings = compare(&cases, &mut stage(&server), &mut reference, &differences);
    if arguments.record {
        write_record(&recorded, "What nats-server 2.15.1 answered to each case.", &findings.transcripts)?;
        write_record(&meant, "What our broker answers where it means to differ from nats-server.", &findings.meant)?;
    } else if arguments.reference.is_some() {
        let old = read_record(&recorded)?;
        let changed = findings.transcripts.iter().filter(|(name, lines)| old.get(*name) != Some(lines));
        let told: Vec<String> =
            changed.map(|(name, _)| format!("{name}: the record holds another answer; run with --record")).collect();
        findings.wrong.extend(told);
    }
    for wrong in &findings.wrong {
        println!("{wrong}");
    }
    println!(
        "{} cases, {} conversations, {} meant differences, {} wrong, {:.1} s",
        findings.cases,
        findings.conversations,
        differences.cases.len(),
        findings.wrong.len(),
        started.elapsed().as_secs_f64()
    );
    Ok(findings.wrong.is_empty())
}

fn absolute(program: &Path) -> Result<PathBuf, String> {
    program.canonicalize().map_err(|error| format!("no program at {}: {error}", program.display()))
}
