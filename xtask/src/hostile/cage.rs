//! What holds a process to its share of the machine: control groups where this user may make them, else what every system has.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// What there is to hold processes with.
pub(super) struct Cage {
    /// Two folders of control groups, for the server and for attackers.
    groups: Option<(PathBuf, PathBuf)>,
}

impl Cage {
    /// Control groups (version 2) below our own, if they can be made and have the controllers.
    pub(super) fn find() -> Self {
        Self { groups: own_group().and_then(|own| make(&own).ok()) }
    }

    pub(super) const fn none() -> Self {
        Self { groups: None }
    }

    /// What holds the server's memory.
    pub(super) const fn memory(&self) -> &'static str {
        if self.groups.is_some() {
            "cgroup memory.max"
        } else {
            "RLIMIT_DATA (no cgroup v2 with a memory controller to write to)"
        }
    }

    /// What holds an attacker's processor time.
    pub(super) const fn cpu(&self) -> &'static str {
        if self.groups.is_some() {
            "cgroup cpu.max"
        } else {
            "SIGSTOP and SIGCONT, by the time it has used (no cgroup v2 to write to)"
        }
    }

    pub(super) fn hold_memory(&self, pid: u32, bytes: u64) -> io::Result<()> {
        if let Some((group, _)) = &self.groups {
            fs::write(group.join("memory.max"), bytes.to_string())?;
            return fs::write(group.join("cgroup.procs"), pid.to_string());
        }
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        prlimit(process(pid), Resource::Data, limit)?;
        Ok(())
    }

    /// Holds a process to a quarter of a core; false if it has to be held by other means.
    pub(super) fn hold_cpu(&self, pid: u32) -> io::Result<bool> {
        let Some((_, group)) = &self.groups else { return Ok(false) };
        fs::write(group.join("cpu.max"), "25000 100000")?;
        fs::write(group.join("cgroup.procs"), pid.to_string())?;
        Ok(true)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        if let Some((server, attacker)) = &self.groups {
            // They are empty by now; one that is not stays, and does no harm.
            let _ = fs::remove_dir(server);
            let _ = fs::remove_dir(attacker);
        }
    }
}

/// The process `pid`, for a call to the system.
pub(super) fn process(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// The folder of the control group that this process is in.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new("/sys/fs/cgroup").join(path))
}

fn make(own: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let make = |name: &str, file: &str| {
        let folder = own.join(format!("crosstie-{name}-{}", std::process::id()));
        fs::create_dir(&folder)?;
        if folder.join(file).exists() {
            return Ok(folder);
        }
        fs::remove_dir(&folder)?;
        Err(io::Error::from(io::ErrorKind::Unsupported))
    };
    if !own.join("cgroup.controllers").exists() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let server = make("server", "memory.max")?;
    match make("attacker", "cpu.max") {
        Ok(attacker) => Ok((server, attacker)),
        Err(error) => {
            fs::remove_dir(&server)?;
            Err(error)
        }
    }
}
