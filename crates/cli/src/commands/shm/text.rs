//! Numbers and times as people read them.

use std::time::{Duration, UNIX_EPOCH};

use crosstie::shm::{Life, ParticipantInfo, ParticipantState};
use crosstie_core::Wall;
use serde_json::{Value, json};

use super::table::wrap;
use crate::output::printable;

/// Keys and values, the values in one column that may be so wide.
pub(super) fn pairs(pairs: &[(&str, String)], width: Option<usize>) -> String {
    let key_width = pairs.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(key_width + 2).max(16));
    let mut text = String::new();
    for (key, value) in pairs {
        for (at, line) in wrap(value, room).iter().enumerate() {
            let key = if at == 0 { *key } else { "" };
            text.push_str(format!("{key:key_width$}  {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

/// A name that another process has given something, in one line, and with nothing in it that a terminal would obey.
pub(super) fn name(text: &str) -> String {
    printable(text.as_bytes()).replace(['\n', '\t'], " ")
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

/// A calendar time to the second, where there is little room.
pub(super) fn when_short(wall: Wall) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(wall.unix_nanos() / 1_000_000_000);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// A length of time in two units at most, short.
pub(super) fn brief(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..10 => format!("{}.{}s", seconds, duration.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}min {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
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
    fn times_are_short() {
        let millis = |millis| brief(Duration::from_millis(millis));
        assert_eq!((millis(0), millis(999), millis(1999)), ("0ms".into(), "999ms".into(), "1.9s".into()));
        assert_eq!((millis(59_999), millis(3_599_000)), ("59s".into(), "59min 59s".into()));
        assert_eq!((millis(3_600_000), millis(90_000_000)), ("1h 0min".into(), "1d 1h".into()));
    }

    #[test]
    fn sizes_are_short_and_never_too_small() {
        for (bytes, text) in [(0, "0 B"), (4096, "4096 B"), (10 * 1024, "10 KiB"), (10 * 1024 * 1024 + 1, "11 MiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
