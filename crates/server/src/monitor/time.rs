//! Moments and durations as NATS's JSON has them.

use std::time::Duration;

use crosstie_core::Wall;

/// A moment as NATS's JSON has it.
pub(super) fn time(wall: Wall) -> String {
    humantime::format_rfc3339_nanos(std::time::UNIX_EPOCH + Duration::from_nanos(wall.unix_nanos())).to_string()
}

pub(super) fn now() -> String {
    humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string()
}

/// A duration as NATS's JSON has it: `1d2h3m4s`.
pub(super) fn uptime(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let parts = [(days, 'd'), (hours, 'h'), (minutes, 'm')];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(parts.len());
    let mut text: String = parts[first..].iter().map(|(count, unit)| format!("{count}{unit}")).collect();
    text += &format!("{}s", seconds % 60);
    text
}
