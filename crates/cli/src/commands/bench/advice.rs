//! Which way to use for what, from what was measured.
//!
//! Of two that are alike the simpler one wins: it is worth a fifth not to have to think about who made which file.

use serde_json::{Value, json};

use super::{endpoint::count, percentiles::time, way::Row};

/// How much worse the simpler one may be.
const ALIKE: f64 = 1.2;

/// One need, and what answers it.
pub(super) struct Advice {
    pub(super) need: &'static str,
    pub(super) way: &'static str,
    pub(super) why: String,
}

impl Advice {
    pub(super) fn text(&self) -> String {
        format!("{:<40} {}\n    {}", self.need, self.way, self.why)
    }

    pub(super) fn json(&self) -> Value {
        json!({ "need": self.need, "way": self.way, "why": self.why })
    }
}

/// What is asked for, whose ways come the simplest first, and by what they are compared: the less the better.
struct Need {
    text: &'static str,
    ways: &'static [&'static str],
    cost: fn(&Row) -> Option<f64>,
    shown: fn(f64) -> String,
}

const NEEDS: [Need; 6] = [
    Need {
        text: "a question and its answer, at once",
        ways: &["unix:", "shm:", "ring"],
        cost: |row| row.figures.round_trip.map(|trip| trip.p50 as f64),
        shown: |cost| format!("{} a round trip", time(cost as u64)),
    },
    Need {
        text: "a stream of small messages",
        ways: &["unix: channel", "shm: channel", "ring"],
        cost: |row| Some(1e9 / row.figures.small.per_second),
        shown: |cost| format!("{}/s", count(1e9 / cost)),
    },
    Need {
        text: "large messages, files, frames",
        ways: &["unix:", "pipe:", "shm:", "ring"],
        cost: |row| row.figures.large.as_ref().map(|large| 1e9 / large.bytes_per_second()),
        shown: |cost| format!("{:.1} GB/s in 64 KiB", 1.0 / cost),
    },
    Need {
        text: "typed messages, old and new builds",
        ways: &["unix: channel", "shm: channel", "tcp: channel"],
        cost: |row| row.figures.round_trip.map(|trip| trip.p50 as f64),
        shown: |cost| format!("{} a round trip", time(cost as u64)),
    },
    Need {
        text: "a parent and its child",
        ways: &["pipe:"],
        cost: |row| row.figures.round_trip.map(|trip| trip.p50 as f64),
        shown: |cost| format!("{} a round trip, and nothing to name", time(cost as u64)),
    },
    Need {
        text: "many who come and go, by subject",
        ways: &["broker"],
        cost: |row| row.figures.round_trip.map(|trip| trip.p50 as f64),
        shown: |cost| format!("{} there and back, with other machines too", time(cost as u64)),
    },
];

pub(super) fn of(rows: &[Row]) -> Vec<Advice> {
    let mut all: Vec<_> = NEEDS.iter().filter_map(|need| answer(need, rows)).collect();
    all.extend(other_machines(rows));
    all
}

fn answer(need: &Need, rows: &[Row]) -> Option<Advice> {
    let costs: Vec<(&'static str, f64)> = need
        .ways
        .iter()
        .filter_map(|way| {
            let row = rows.iter().find(|row| row.way.name == *way)?;
            Some((*way, (need.cost)(row)?))
        })
        .collect();
    let least = costs.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
    let (way, cost) = *costs.iter().find(|(_, cost)| *cost <= least * ALIKE)?;
    let next = costs.iter().filter(|(other, _)| *other != way).map(|(other, cost)| (*other, *cost));
    let next = next.min_by(|(_, one), (_, other)| one.total_cmp(other));
    let beside = next.map_or_else(String::new, |(other, other_cost)| {
        let alike = if other_cost < cost { ": hardly better, less simple" } else { "" };
        format!(" ({other} {}{alike})", (need.shown)(other_cost))
    });
    Some(Advice { need: need.text, way, why: format!("{}{beside}", (need.shown)(cost)) })
}

/// What it costs here to be ready for another machine.
fn other_machines(rows: &[Row]) -> Option<Advice> {
    let trip = |name| rows.iter().find(|row| row.way.name == name)?.figures.round_trip.map(|trip| trip.p50 as f64);
    let (tcp, unix) = (trip("tcp:")?, trip("unix:")?);
    Some(Advice {
        need: "another machine, one day",
        way: "tcp:",
        why: format!("{:.1} times a round trip of unix: while both are on this one", tcp / unix),
    })
}
