//! The processes that this user may look into, with their sockets and what they say of their listeners.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
};

use crosstie_net::{Announced, announced_by};

/// One process.
pub(super) struct Process {
    pub(super) uid: u32,
    /// Its name, as `ps -o comm` has it.
    pub(super) name: String,
    pub(super) endpoints: Vec<Announced>,
    sockets: HashSet<u64>,
    /// Whether its network is this command's, whose sockets are known.
    pub(super) is_in_reach: bool,
}

impl Process {
    pub(super) fn has(&self, inode: u64) -> bool {
        self.sockets.contains(&inode)
    }
}

/// All that may be looked into, by their numbers.
pub(super) struct Processes {
    pub(super) all: BTreeMap<u32, Process>,
    /// Who has a socket.
    owners: HashMap<u64, u32>,
}

impl Processes {
    pub(super) fn read() -> std::io::Result<Self> {
        let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let here = network("self");
        let mut all = BTreeMap::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // It has ended since, or is somebody else's.
            let (Ok(meta), Some(sockets)) = (entry.metadata(), sockets(pid)) else { continue };
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned();
            let is_in_reach = network(&pid.to_string()) == here;
            let endpoints = announced_by(pid).unwrap_or_default();
            all.insert(pid, Process { uid: meta.uid(), name, endpoints, sockets, is_in_reach });
        }
        let owners = all.iter().flat_map(|(pid, it)| it.sockets.iter().map(|inode| (*inode, *pid))).collect();
        Ok(Self { all, owners })
    }

    /// Who has a socket, and what it is called.
    pub(super) fn owner(&self, inode: u64) -> Option<u32> {
        self.owners.get(&inode).copied()
    }
}

/// The numbers of the sockets that a process has open.
fn sockets(pid: u32) -> Option<HashSet<u64>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let number = |to: std::path::PathBuf| to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    Some(entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).filter_map(number).collect())
}
