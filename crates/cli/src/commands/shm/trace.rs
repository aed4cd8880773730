//! `crosstie shm trace`: what each participant did last.

use std::time::Duration;

use clap::Args;
use crosstie::shm::{self, Act, Directory, Happened, Keeper, Life, ParticipantInfo};
use crosstie_core::Wall;
use serde_json::{Value, json};

use super::{target::Target, text};
use crate::{exit::Failure, output::Output};

#[derive(Args)]
#[command(after_help = "Examples:
  crosstie shm trace ledger
  crosstie shm trace ledger --slot 3 --last 20
  crosstie shm trace ledger --json | jq 'select(.life == \"dead\")'")]
pub(super) struct TraceArgs {
    #[command(flatten)]
    target: Target,
    /// Only this slot
    #[arg(long)]
    slot: Option<u32>,
    /// Only so many acts of each slot, the last ones
    #[arg(long, short = 'n', value_name = "COUNT")]
    last: Option<usize>,
}

pub(super) fn run(directory: &Directory, args: &TraceArgs, output: &Output) -> Result<(), Failure> {
    let segment = args.target.open(directory)?;
    // The clocks are read together, so that an instant of the one can be told on the other.
    let clocks = (shm::now(), shm::wall());
    let mut all = Vec::new();
    for info in Keeper::of(&segment)?.all_slots()? {
        if args.slot.is_none_or(|slot| slot == info.id.slot) {
            let events = segment.events(info.id.slot);
            let skipped = args.last.map_or(0, |last| events.len().saturating_sub(last));
            let events = attributed(&info, &events);
            all.extend(events.into_iter().skip(skipped));
        }
    }
    all.sort_by_key(|(info, event)| (event.time, info.id.slot, event.sequence));
    if output.is_json() {
        return all.iter().try_for_each(|(info, event)| output.data(&json(info, event, clocks), Vec::new));
    }
    if all.is_empty() {
        output.note("nothing was done here yet");
        return Ok(());
    }
    let heading = ["AGO", "SLOT", "LIFE", "PID", "NAME", "SEQ", "ACT", "OBJECT", "DETAIL"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|(info, event)| row(info, event, clocks)));
    output.data(&Value::Null, || text::table(&rows).into_bytes())
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
        info.name.clone(),
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
        Act::Left => String::new(),
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
