//! What this process takes of the machine.

use std::{fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// What this process takes now.
pub(super) struct Usage {
    /// Resident memory in bytes; zero if the system does not say.
    pub(super) resident: u64,
    /// Processor time since the start, of all threads.
    pub(super) cpu: Duration,
    /// Open descriptors; zero if the system does not say.
    pub(super) descriptors: usize,
}

impl Usage {
    pub(super) fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u64::try_from(cpu.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(cpu.tv_nsec).unwrap_or_default();
        Self {
            resident: fs::read_to_string("/proc/self/status").ok().and_then(|text| resident(&text)).unwrap_or_default(),
            cpu: Duration::new(seconds, nanos),
            descriptors: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        }
    }
}

/// The line `VmRSS:     1234 kB` of /proc/self/status.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let usage = Usage::now();
        assert!(usage.resident > 100_000 && usage.descriptors > 2 && !usage.cpu.is_zero());
        assert_eq!(resident("Name: x\nVmRSS:\t    12 kB\n"), Some(12_288));
    }
}
