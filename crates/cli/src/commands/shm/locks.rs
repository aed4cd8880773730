//! `crosstie locks`: who holds what, and who waits for it.

use std::{
    io::{self, IsTerminal},
    thread,
    time::Duration,
};

use clap::Args;
use crosstie::shm::{
    self, Directory, Expect, HeldPart, Keeper, Life, Listed, LockStatus, ParticipantId, ParticipantInfo, Segment,
    SegmentName,
};
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
    let name: Option<SegmentName> = args.segment.as_deref().map(str::parse).transpose().map_err(shm::Error::from)?;
    loop {
        let found = look(&directory, name.as_ref())?;
        if !args.watch {
            return found.tell(&directory, name.as_ref(), output);
        }
        found.tell_again(&directory, output)?;
        thread::sleep(AGAIN);
    }
}

/// The locks of a moment.
struct Found {
    rows: Vec<Vec<String>>,
    values: Vec<Value>,
    /// Segments of the wanted name, whether they have locks or not.
    segments: usize,
    /// The first segment whose locks cannot be read.
    unreadable: Option<shm::Error>,
}

fn look(directory: &Directory, name: Option<&SegmentName>) -> Result<Found, Failure> {
    let heading = ["SEGMENT", "LOCK", "KIND", "HELD BY", "FOR", "WAITING", "TAKEN", "DEATHS"].map(str::to_owned);
    let mut found = Found { rows: vec![heading.to_vec()], values: Vec::new(), segments: 0, unreadable: None };
    for listed in directory.list()? {
        if name.is_none_or(|wanted| *wanted == listed.name) {
            found.segments += 1;
            // The others are told all the same.
            if let Err(error) = found.add(directory, &listed) {
                found.unreadable.get_or_insert(error);
            }
        }
    }
    Ok(found)
}

impl Found {
    fn add(&mut self, directory: &Directory, listed: &Listed) -> Result<(), shm::Error> {
        let expect = Expect::any().looking_only().of_any_boot();
        // Removed since it was listed.
        let Some(segment) = Segment::open_listed(directory, listed, &expect)? else { return Ok(()) };
        let participants = Keeper::of(&segment)?.participants()?;
        for lock in segment.locks()? {
            self.rows.push(row(&segment, &lock, &participants));
            self.values.push(value(&segment, &lock, &participants));
        }
        Ok(())
    }

    /// Tells it once.
    fn tell(self, directory: &Directory, name: Option<&SegmentName>, output: &Output) -> Result<(), Failure> {
        if output.is_json() {
            self.values.iter().try_for_each(|value| output.data(value, Vec::new))?;
        } else if !self.values.is_empty() {
            output.data(&Value::Null, || text::table(&self.rows).into_bytes())?;
        }
        match (self.unreadable, name) {
            (Some(error), _) => Err(error.into()),
            (None, Some(name)) if self.segments == 0 => Err(shm::Error::NotFound { segment: name.to_string() }.into()),
            _ if self.values.is_empty() => {
                output.note(&format!("no locks in {}", directory.path().display()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Tells it as one of many times: under the time, and on a terminal in the place of the last.
    fn tell_again(mut self, directory: &Directory, output: &Output) -> Result<(), Failure> {
        let time = text::when(shm::wall());
        if output.is_json() {
            for value in &mut self.values {
                value["time"] = json!(time);
            }
            return self.values.iter().try_for_each(|value| output.data(value, Vec::new));
        }
        let mut shown = String::new();
        if io::stdout().is_terminal() {
            shown.push_str(CLEAR);
        }
        shown.push_str(&format!("{time}  {}\n", directory.path().display()));
        shown.push_str(&if self.values.is_empty() { "no locks\n".to_owned() } else { text::table(&self.rows) });
        if let Some(error) = self.unreadable {
            shown.push_str(&format!("{error}\n"));
        }
        shown.push('\n');
        output.data(&Value::Null, || shown.into_bytes())
    }
}

/// Home, and everything below it gone.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

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
        Some(info) => {
            // Until somebody who wants it, or `shm gc`, recovers what it held.
            let end = if info.life == Life::Alive { "" } else { ", dead" };
            format!("{} pid {} [{id}{end}]", info.name, info.pid)
        }
        None => format!("[{id}]"),
    }
}

fn since(wall: Wall) -> String {
    let passed = shm::wall().unix_nanos().saturating_sub(wall.unix_nanos());
    text::ago(Duration::from_nanos(passed))
}
