//! Numbers and tables as people read them.

use std::time::{Duration, UNIX_EPOCH};

use crosstie::shm::{Life, ParticipantInfo, ParticipantState};
use crosstie_core::Wall;
use serde_json::{Value, json};

/// A table with its columns aligned; every row has as many cells as the first.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number of bytes, short.
pub(super) fn size(bytes: u64) -> String {
    let mut scaled = bytes;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 10 * 1024 {
            return format!("{scaled} {unit}");
        }
        scaled = scaled.div_ceil(1024);
    }
    format!("{scaled} TiB")
}

/// A calendar time to the millisecond.
pub(super) fn when(wall: Wall) -> String {
    let time = UNIX_EPOCH + Duration::from_nanos(wall.unix_nanos());
    humantime::format_rfc3339_millis(time).to_string()
}

/// A length of time to the microsecond.
pub(super) fn ago(duration: Duration) -> String {
    let micros = duration.as_micros();
    format!("{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
}

/// What is known of the life of a participant, in one word.
pub(super) const fn life(info: &ParticipantInfo) -> &'static str {
    match (info.life, info.state) {
        (Life::Gone, _) | (_, ParticipantState::Free) => "gone",
        (_, ParticipantState::Reaping) => "reaping",
        (Life::Alive, _) => "alive",
        (Life::Dead, _) => "dead",
    }
}

/// A participant, as `show` and `trace` tell it.
pub(super) fn participant_json(info: &ParticipantInfo) -> Value {
    json!({
        "slot": info.id.slot,
        "generation": info.id.generation,
        "life": life(info),
        "pid": info.pid,
        "pid_namespace": info.namespace,
        "started_ticks": info.start,
        "joined": when(info.joined),
        "name": info.name,
        "waits_for_lock": info.waits_for,
        "reaper": info.reaper,
        "acts": info.acts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let rows = [vec!["NAME".to_owned(), "SIZE".to_owned()], vec!["a-long-name".to_owned(), String::new()]];
        assert_eq!(table(&rows), "NAME         SIZE\na-long-name\n");
    }

    #[test]
    fn sizes_are_short_and_never_too_small() {
        for (bytes, text) in [(0, "0 B"), (4096, "4096 B"), (10 * 1024, "10 KiB"), (10 * 1024 * 1024 + 1, "11 MiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
