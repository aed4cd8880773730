//! What the text of an option must be: seconds, durations, counts.

use std::time::Duration;

/// Seconds to measure or to run for.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok().filter(|seconds| *seconds > 0.0 && *seconds <= 86_400.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a number of seconds, more than 0 and at most 86400".to_owned())
}

/// A number that is not 0.
pub(crate) fn at_least_one(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "expected a number from 1 on".to_owned())
}

/// A number of bytes such as 65536, 64KiB or 1.5MB, more than none.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64()).filter(|size| *size > 0);
    size.ok_or_else(|| "expected a number of bytes, as in 64KiB or 1.5MB".to_owned())
}

/// The bytes of a message that is measured: room for what it carries of its own, and no more than one allocation should be.
pub(crate) fn message_size(text: &str) -> Result<u32, String> {
    let size = size(text).ok().and_then(|size| u32::try_from(size).ok());
    size.filter(|size| (16..=64 << 20).contains(size))
        .ok_or_else(|| "expected a number of bytes from 16 to 64MiB, as in 4096 or 64KiB".to_owned())
}

/// A number of bytes for people.
pub(crate) fn size_text(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// A duration such as 250ms or 5s.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "expected a duration, as in 250ms or 5s".to_owned())
}
