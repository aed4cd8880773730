//! Boost's message queue, in a program of its own that is compiled when it is first needed.
//!
//! Its headers come by `cargo xtask tools boost-1.74.0`; without them, or without a compiler, there is no such row.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::case::{Failure, REPETITIONS, Samples};

pub(crate) fn round_trip(folder: &Path) -> Result<Option<Samples>, Failure> {
    measure("round-trip", 10_000, folder)
}

pub(crate) fn one_way(folder: &Path) -> Result<Option<Samples>, Failure> {
    measure("one-way", 100_000, folder)
}

fn measure(what: &str, rounds: u32, folder: &Path) -> Result<Option<Samples>, Failure> {
    let Some(program) = compiled()? else { return Ok(None) };
    let queue = folder.file_name().ok_or("a folder has a name")?;
    let side = |side: &str, processor: &str| {
        let mut command = Command::new(&program);
        command.args([what, side]).arg(queue).args([processor, &rounds.to_string(), &REPETITIONS.to_string()]);
        command
    };
    let mut peer = side("peer", "1").spawn()?;
    let output = side("measurer", "0").output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        other => {
            let _ = peer.kill();
            let _ = peer.wait();
            return Err(format!("Boost's queue: {other:?}").into());
        }
    };
    peer.wait()?;
    let nanos: Result<Vec<f64>, _> = String::from_utf8(output.stdout)?.lines().map(str::parse).collect();
    Ok(Some(Samples { nanos: nanos?, slowest: Vec::new() }))
}

fn compiled() -> Result<Option<PathBuf>, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let place = root.join("target/tools/boost-1.74.0");
    let program = place.join("queue");
    if !place.is_dir() {
        eprintln!("no Boost: run `cargo xtask tools boost-1.74.0` for its rows");
        return Ok(None);
    }
    let source = root.join("bench/shm/boost/queue.cpp");
    let is_fresh = program.metadata().and_then(|is| is.modified()).ok() >= source.metadata()?.modified().ok();
    if !is_fresh {
        let mut compiler = Command::new("c++");
        compiler.args(["-std=c++17", "-O2", "-pthread"]).arg("-I").arg(&place).arg(&source).arg("-o").arg(&program);
        if !compiler.arg("-lrt").status()?.success() {
            return Err("Boost's queue does not compile".into());
        }
    }
    Ok(Some(program))
}
