//! What the kernel knows of a server process: processor time and resident memory, from /proc.

use std::fs;

use crate::error::{Error, Result};

/// Processor time of all threads of `pid` so far, in nanoseconds.
///
/// From `schedstat`, which counts nanoseconds where `stat` counts ticks of 10 ms. A thread that ended takes its time
/// with it; brokers keep theirs.
pub(crate) fn cpu_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))
        .map_err(Error::during(format!("reading the threads of process {pid}")))?
    {
        // The thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let first = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        sum += first.ok_or_else(|| Error::new(format!("schedstat of process {pid} reads {text:?}")))?;
    }
    Ok(sum)
}

/// Resident memory of `pid` in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(Error::during(&path))?;
    text.lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| Error::new(format!("{path} has no line `Rss: N kB`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_time_and_memory() {
        let pid = std::process::id();
        assert!(cpu_ns(pid).unwrap() > 0);
        assert!(resident(pid).unwrap() > 64 * 1024);
    }
}
