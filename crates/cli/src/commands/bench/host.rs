//! What one must know of a machine to compare figures.

use std::{fs, thread};

use serde_json::{Value, json};

/// The machine as it is now: take it before something is measured, for the load is that of others then.
pub(super) struct Host {
    cpu: String,
    cores: usize,
    kernel: String,
    load: String,
}

impl Host {
    pub(super) fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let cpu = info.lines().find_map(|line| line.strip_prefix("model name"));
        Self {
            cpu: cpu.map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':'])).to_owned(),
            cores: thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or("unknown").to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "cpu": self.cpu, "cores": self.cores, "kernel": self.kernel, "load": self.load })
    }

    pub(super) fn line(&self) -> String {
        format!("cpu {}, cores {}, kernel {}, load {}", self.cpu, self.cores, self.kernel, self.load)
    }
}
