//! `crosstie shm trace`: what each participant did last.

use std::time::Duration;

use clap::Args;
use crosstie::shm::{self, Act, Directory, Happened, Keeper, Life, ParticipantInfo};
use crosstie_core::Wall;
use serde_json::{Value, json};

use super::{
    table::{Column, Table},
    target::Target,
    text,
    wide::{Wide, show_table},
};
use crate::{
    exit::{Code, Failure},
    output::Output,
};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm trace ledger
  crosstie shm trace ledger --slot 3 --last 20
  crosstie shm trace ledger --json | jq 'select(.life == \"dead\")'

Kept are the last 256 acts of each: joining, leaving, waits for a lock that
took more than a millisecond and how they ended, deaths that it was told of,
and whom it reaped. A lock that was free, and messages, leave nothing here.

A slot that this segment does not have ends it with code 3.")]
pub(super) struct TraceArgs {
    #[command(flatten)]
    target: Target,
    /// Only this slot
    #[arg(long)]
    slot: Option<u32>,
    /// Only so many acts of each slot, the last ones
    #[arg(long, short = 'n', value_name = "COUNT")]
    last: Option<usize>,
    #[command(flatten)]
    wide: Wide,
}

const COLUMNS: [Column; 9] = [
    Column::new("AGO"),
    Column::new("SLOT"),
    Column::new("LIFE"),
    Column::new("PID"),
    Column::new("NAME").wrapped(8).spare(1),
    Column::new("SEQ").spare(3),
    Column::new("ACT").wrapped(10),
    Column::new("OBJECT").spare(2),
    Column::new("DETAIL").wrapped(8),
];

pub(super) fn run(directory: &Directory, args: &TraceArgs, output: &Output) -> Result<(), Failure> {
    let segment = args.target.open(directory)?;
    // The clocks are read together, so that an instant of the one can be told on the other.
    let clocks = (shm::now(), shm::wall());
    let slots = Keeper::of(&segment)?.all_slots()?;
    if let Some(slot) = args.slot.filter(|slot| *slot == 0 || *slot > segment.header().participants) {
        let (label, last, taken) = (segment.label(), segment.header().participants, taken(&slots));
        let what = format!("expected a slot of segment '{label}', which has 1 to {last}, came {slot}; {taken}");
        return Err(Failure::new(Code::NotFound, "not_found", what));
    }
    let mut all = Vec::new();
    for info in &slots {
        if args.slot.is_none_or(|slot| slot == info.id.slot) {
            let events = segment.events(info.id.slot);
            let skipped = args.last.map_or(0, |last| events.len().saturating_sub(last));
            let events = attributed(info, &events);
            all.extend(events.into_iter().skip(skipped));
        }
    }
    all.sort_by_key(|(info, event)| (event.time, info.id.slot, event.sequence));
    if output.is_json() {
        return all.iter().try_for_each(|(info, event)| output.data(&json(info, event, clocks), Vec::new));
    }
    if all.is_empty() {
        let whom = args.slot.map_or_else(String::new, |slot| format!(" by whoever was in slot {slot}"));
        output.note(&format!("nothing was done here yet{whom}; {}", taken(&slots)));
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    all.iter().for_each(|(info, event)| table.row(row(info, event, clocks)));
    show_table(&table, &args.wide, output)
}

/// Which slots there is something to be told of.
fn taken(slots: &[ParticipantInfo]) -> String {
    let numbers: Vec<_> = slots.iter().map(|info| info.id.slot.to_string()).collect();
    match numbers.len() {
        0 => "nobody has taken part yet".to_owned(),
        1 => format!("so far slot {} was taken", numbers[0]),
        _ => format!("so far slots {} were taken", numbers.join(", ")),
    }
}

/// Each act with whoever did it: the acts of those who were in the slot before are still there, and must not be taken for those of who is
/// in it now.
fn attributed(now: &ParticipantInfo, events: &[Happened]) -> Vec<(ParticipantInfo, Happened)> {
    let last_joined = events.iter().rposition(|event| event.act == Act::Joined).unwrap_or(0);
    let mut who = match last_joined {
        0 => now.clone(),
        _ => before(now, 0),
    };
    let mut all = Vec::new();
    for (at, event) in events.iter().enumerate() {
        if at == last_joined {
            who = now.clone();
        } else if event.act == Act::Joined {
            who = before(now, u32::try_from(event.detail[0]).unwrap_or(0));
        }
        all.push((who.clone(), *event));
    }
    all
}

/// Somebody who was in the slot before; its name was overwritten.
fn before(now: &ParticipantInfo, pid: u32) -> ParticipantInfo {
    ParticipantInfo { life: Life::Gone, pid, name: String::new(), ..now.clone() }
}

type Clocks = (crosstie_core::Mono, Wall);

fn row(info: &ParticipantInfo, event: &Happened, (now, _): Clocks) -> Vec<String> {
    vec![
        text::ago(now.since(event.time)),
        info.id.slot.to_string(),
        text::life(info).to_owned(),
        info.pid.to_string(),
        text::name(&info.name),
        event.sequence.to_string(),
        event.act.to_string(),
        event.object.to_string(),
        detail(event),
    ]
}

/// The two numbers, in words where all acts of a kind mean the same by them.
fn detail(event: &Happened) -> String {
    let [first, second] = event.detail;
    match event.act {
        Act::Joined => format!("process {first}"),
        Act::ReapBegan | Act::Reaped => format!("slot {first}.{second}"),
        Act::Waited | Act::Locked | Act::TimedOut => format!("lock {first}"),
        Act::Recovered => format!("lock {first}, slot {}.{}", second >> 32, second & u64::from(u32::MAX)),
        Act::Left | Act::Poisoned => String::new(),
        _ => format!("{first} {second}"),
    }
}

fn json(info: &ParticipantInfo, event: &Happened, (now, wall): Clocks) -> Value {
    let ago: Duration = now.since(event.time);
    let then = wall.unix_nanos().saturating_sub(u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX));
    json!({
        "slot": info.id.slot,
        "life": text::life(info),
        "pid": info.pid,
        "name": info.name,
        "time": text::when(Wall::from_unix_nanos(then)),
        "monotonic_ns": event.time.as_nanos(),
        "sequence": event.sequence,
        "act": event.act.to_string(),
        "act_number": event.act.number(),
        "object": event.object,
        "detail": event.detail,
    })
}
