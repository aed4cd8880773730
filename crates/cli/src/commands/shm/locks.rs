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

use super::{
    failure::as_here,
    place::{Found, Place},
    table::{Column, Table},
    text,
    wide::{Wide, show_table},
};
use crate::{
    exit::Failure,
    output::{Output, printable},
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie locks                 every lock: who holds it, and who waits
  crosstie locks ledger --watch  those of one segment, again and again
  crosstie locks --json | jq 'select(.waiters != [])'

FOR is - where it is not known since when a lock is held: who finds it free does
not look at the clock, which would cost more than the lock; the first who waits
notes the time, and 'crosstie lock' does. Readers and permits are not timed.")]
pub(crate) struct LocksArgs {
    #[command(flatten)]
    place: Place,
    /// Only this segment
    #[arg(value_name = "NAME")]
    segment: Option<String>,
    /// Show it again every half second until interrupted
    #[arg(long, short)]
    watch: bool,
    #[command(flatten)]
    wide: Wide,
}

const COLUMNS: [Column; 7] = [
    Column::new("LOCK").wrapped(12),
    Column::new("KIND").spare(1),
    Column::new("HELD BY").wrapped(16),
    Column::new("FOR"),
    Column::new("WAITING").wrapped(16),
    Column::new("TAKEN").spare(3),
    Column::new("DEATHS").spare(2),
];

const AGAIN: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &LocksArgs, output: &Output) -> Result<(), Failure> {
    let name: Option<SegmentName> = args.segment.as_deref().map(str::parse).transpose().map_err(shm::Error::from)?;
    loop {
        let place = args.place.find()?;
        let found = look(&place, name.as_ref(), is_wide(args, output))?;
        if !args.watch {
            return found.tell(name.as_ref(), args, output);
        }
        found.tell_again(args, output)?;
        thread::sleep(AGAIN);
    }
}

/// True if there is room for everything.
fn is_wide(args: &LocksArgs, output: &Output) -> bool {
    args.wide.limit(output).is_none()
}

/// The locks of a moment.
struct Locks {
    place: String,
    table: Table,
    values: Vec<Value>,
    /// Segments of the wanted name, whether they have locks or not.
    segments: usize,
    /// The first segment whose locks cannot be read.
    unreadable: Option<shm::Error>,
    is_wide: bool,
}

fn look(place: &Found, name: Option<&SegmentName>, is_wide: bool) -> Result<Locks, Failure> {
    let (path, listed) = match place {
        Found::There(directory) => (directory.path(), directory.list()?),
        Found::NotYet(path) => (path.as_path(), Vec::new()),
    };
    let place_text = path.display().to_string();
    let table = Table::new(&COLUMNS);
    let mut locks = Locks { place: place_text, table, values: Vec::new(), segments: 0, unreadable: None, is_wide };
    let Found::There(directory) = place else { return Ok(locks) };
    for listed in listed {
        if name.is_none_or(|wanted| *wanted == listed.name) {
            locks.segments += 1;
            // The others are told all the same.
            if let Err(error) = locks.add(directory, &listed) {
                locks.unreadable.get_or_insert(error);
            }
        }
    }
    Ok(locks)
}

impl Locks {
    fn add(&mut self, directory: &Directory, listed: &Listed) -> Result<(), shm::Error> {
        let expect = Expect::any().looking_only().of_any_boot();
        // Removed since it was listed.
        let Some(segment) = Segment::open_listed(directory, listed, &expect)? else { return Ok(()) };
        let participants = Keeper::of(&segment)?.participants()?;
        for lock in segment.locks()? {
            self.table.row(row(&segment, &lock, &participants, self.is_wide));
            self.values.push(value(&segment, &lock, &participants));
        }
        Ok(())
    }

    /// Tells it once.
    fn tell(self, name: Option<&SegmentName>, args: &LocksArgs, output: &Output) -> Result<(), Failure> {
        if output.is_json() {
            self.values.iter().try_for_each(|value| output.data(value, Vec::new))?;
        } else if !self.values.is_empty() {
            show_table(&self.table, &args.wide, output)?;
        }
        match (self.unreadable, name) {
            (Some(error), _) => Err(error.into()),
            (None, Some(name)) if self.segments == 0 => Err(shm::Error::NotFound { segment: name.to_string() }.into()),
            _ if self.values.is_empty() => {
                output.note(&format!("no locks in {}", self.place));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Tells it as one of many times: under the time, and on a terminal in the place of the last.
    fn tell_again(mut self, args: &LocksArgs, output: &Output) -> Result<(), Failure> {
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
        shown.push_str(&format!("{time}  {}\n", self.place));
        let table = || self.table.text(args.wide.limit(output)).0;
        shown.push_str(&if self.values.is_empty() { "no locks\n".to_owned() } else { table() });
        if let Some(error) = self.unreadable {
            shown.push_str(&format!("{}\n", printable(as_here(&error.to_string()).as_bytes())));
        }
        shown.push('\n');
        output.data(&Value::Null, || shown.into_bytes())
    }
}

/// Home, and everything below it gone.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

fn row(segment: &Segment, lock: &LockStatus, participants: &[ParticipantInfo], is_wide: bool) -> Vec<String> {
    let holders: Vec<_> = lock
        .holders
        .iter()
        .map(|holder| {
            let part = match holder.part {
                HeldPart::Whole => String::new(),
                HeldPart::Readers(count) => format!(" ({count} reading)"),
                HeldPart::Permits(count) => format!(" ({count} of {})", lock.permits),
            };
            format!("{}{part}", who(holder.who, participants, is_wide))
        })
        .collect();
    let waiters: Vec<_> = lock
        .waiters
        .iter()
        .map(|waiter| format!("{} for {}", who(waiter.who, participants, is_wide), since(waiter.since)))
        .collect();
    let held_for = match lock.holders.as_slice() {
        [] => String::new(),
        holders => holders.iter().find_map(|holder| holder.since).map_or_else(|| "-".to_owned(), since),
    };
    vec![
        lock_name(segment, lock),
        lock.kind.to_string(),
        if holders.is_empty() { "nobody".to_owned() } else { holders.join("\n") },
        held_for,
        waiters.join("\n"),
        lock.acquisitions.to_string(),
        lock.recoveries.to_string(),
    ]
}

/// The segment is name enough for a lock that is alone in it.
fn lock_name(segment: &Segment, lock: &LockStatus) -> String {
    let segment_name = segment.label();
    match lock.name.as_str() {
        _ if segment.header().locks == 1 => segment_name.to_owned(),
        "" => format!("{segment_name}/{}", lock.index),
        name => format!("{segment_name}/{}", text::name(name)),
    }
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

fn who(id: ParticipantId, participants: &[ParticipantInfo], is_wide: bool) -> String {
    let slot = if is_wide { format!(" [{id}]") } else { String::new() };
    match participants.iter().find(|info| info.id == id) {
        Some(info) => {
            // Until somebody who wants it, or `shm gc`, recovers what it held.
            let end = if info.life == Life::Alive { "" } else { " (dead)" };
            format!("{} pid {}{slot}{end}", text::name(&info.name), info.pid)
        }
        None => format!("[{id}]"),
    }
}

fn since(wall: Wall) -> String {
    let passed = shm::wall().unix_nanos().saturating_sub(wall.unix_nanos());
    text::brief(Duration::from_nanos(passed))
}
