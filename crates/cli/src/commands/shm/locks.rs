//! `crosstie locks`: who holds what, and who waits for it.

use std::{
    thread,
    time::{Duration, SystemTime},
};

use clap::Args;
use crosstie::shm::{self, Directory, Expect, HeldPart, Keeper, LockStatus, ParticipantId, ParticipantInfo, Segment};
use crosstie_core::Wall;
use serde_json::{Value, json};

use super::{Place, text};
use crate::{exit::Failure, output::Output};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie locks                  every lock of every segment: who holds it, who waits
  crosstie locks ledger --watch   the same of one segment, again and again
  crosstie locks --json | jq 'select(.waiters != [])'")]
pub(crate) struct LocksArgs {
    #[command(flatten)]
    place: Place,
    /// Only this segment
    #[arg(value_name = "NAME")]
    segment: Option<String>,
    /// Show it again every half second until interrupted
    #[arg(long, short)]
    watch: bool,
}

const AGAIN: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &LocksArgs, output: &Output) -> Result<(), Failure> {
    let directory = args.place.open()?;
    loop {
        show(&directory, args, output)?;
        if !args.watch {
            return Ok(());
        }
        thread::sleep(AGAIN);
        if !output.is_json() {
            output.data(&Value::Null, || {
                format!("\n{}\n", humantime::format_rfc3339_seconds(SystemTime::now())).into_bytes()
            })?;
        }
    }
}

fn show(directory: &Directory, args: &LocksArgs, output: &Output) -> Result<(), Failure> {
    let mut rows =
        vec![["SEGMENT", "LOCK", "KIND", "HELD BY", "FOR", "WAITING", "TAKEN", "DEATHS"].map(str::to_owned).to_vec()];
    let mut values = Vec::new();
    for listed in directory.list()? {
        if args.segment.as_deref().is_some_and(|wanted| wanted != listed.name.as_str()) {
            continue;
        }
        // One that cannot be read has no locks that could be; `shm ls` tells of it.
        let expect = Expect::any().looking_only().of_any_boot();
        let Ok(Some(segment)) = Segment::open_listed(directory, &listed, &expect) else { continue };
        let participants = Keeper::of(&segment)?.participants()?;
        for lock in segment.locks()? {
            rows.push(row(&segment, &lock, &participants));
            values.push(value(&segment, &lock, &participants));
        }
    }
    if output.is_json() {
        return values.iter().try_for_each(|value| output.data(value, Vec::new));
    }
    if values.is_empty() {
        output.note(&format!("no locks in {}", directory.path().display()));
        return Ok(());
    }
    output.data(&Value::Null, || text::table(&rows).into_bytes())
}

fn row(segment: &Segment, lock: &LockStatus, participants: &[ParticipantInfo]) -> Vec<String> {
    let holders: Vec<_> = lock
        .holders
        .iter()
        .map(|holder| {
            let part = match holder.part {
                HeldPart::Whole => String::new(),
                HeldPart::Readers(count) => format!(" ({count} reading)"),
                HeldPart::Permits(count) => format!(" ({count} of {})", lock.permits),
            };
            format!("{}{part}", who(holder.who, participants))
        })
        .collect();
    let waiters: Vec<_> = lock
        .waiters
        .iter()
        .map(|waiter| format!("{} for {}", who(waiter.who, participants), since(waiter.since)))
        .collect();
    let held_for = lock.holders.iter().find_map(|holder| holder.since).map_or_else(String::new, since);
    vec![
        segment.label().to_owned(),
        if lock.name.is_empty() { lock.index.to_string() } else { lock.name.clone() },
        lock.kind.to_string(),
        if holders.is_empty() { "nobody".to_owned() } else { holders.join(", ") },
        held_for,
        waiters.join(", "),
        lock.acquisitions.to_string(),
        lock.recoveries.to_string(),
    ]
}

fn value(segment: &Segment, lock: &LockStatus, participants: &[ParticipantInfo]) -> Value {
    let person = |id: ParticipantId| {
        let info = participants.iter().find(|info| info.id == id);
        json!({
            "slot": id.slot,
            "generation": id.generation,
            "pid": info.map(|info| info.pid),
            "name": info.map(|info| info.name.clone()),
            "life": info.map(text::life),
        })
    };
    let holders: Vec<_> = lock
        .holders
        .iter()
        .map(|holder| {
            let (part, count) = match holder.part {
                HeldPart::Whole => ("whole", 1),
                HeldPart::Readers(count) => ("readers", count),
                HeldPart::Permits(count) => ("permits", count),
            };
            json!({ "who": person(holder.who), "part": part, "count": count, "since": holder.since.map(text::when) })
        })
        .collect();
    let waiters: Vec<_> = lock
        .waiters
        .iter()
        .map(|waiter| json!({ "who": person(waiter.who), "thread": waiter.thread, "since": text::when(waiter.since) }))
        .collect();
    json!({
        "segment": segment.label(),
        "index": lock.index,
        "name": lock.name,
        "kind": lock.kind.to_string(),
        "holders": holders,
        "waiters": waiters,
        "permits": lock.permits,
        "acquisitions": lock.acquisitions.number(),
        "waits": lock.waits,
        "recoveries": lock.recoveries,
        "untold_deaths": lock.untold,
        "commits": lock.commits,
    })
}

fn who(id: ParticipantId, participants: &[ParticipantInfo]) -> String {
    match participants.iter().find(|info| info.id == id) {
        Some(info) => format!("{} pid {} [{id}]", info.name, info.pid),
        None => format!("[{id}]"),
    }
}

fn since(wall: Wall) -> String {
    let passed = shm::wall().unix_nanos().saturating_sub(wall.unix_nanos());
    text::ago(Duration::from_nanos(passed))
}
