//! Resident memory of a server per idle connection.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, Result};
use crate::process::resident;
use crate::wire::connect;

/// Time for the server to settle before its memory is read.
const SETTLE: Duration = Duration::from_millis(500);
/// Descriptors beyond the connections: standard streams, epoll and the like.
const SPARE_FILES: u64 = 64;

/// What one run found.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Idle {
    pub(crate) connections: usize,
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl Idle {
    /// Bytes per connection.
    pub(crate) fn per_connection(&self) -> f64 {
        self.after.saturating_sub(self.before) as f64 / self.connections as f64
    }
}

/// Opens `connections` that greet and then say nothing, and reads the memory of `pid` before and after.
///
/// Raises this process's limit on open files; start the server after [`raise_files`] or give it a limit of its own.
pub(crate) fn idle(server: SocketAddr, pid: u32, connections: usize) -> Result<Idle> {
    raise_files(connections as u64 + SPARE_FILES)?;
    // One connection first, so that what the server sets up once is not counted as the first connection's.
    drop(connect(server)?);
    thread::sleep(SETTLE);
    let before = resident(pid)?;
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections {
        let stream = connect(server).map_err(Error::during(format!("opening connection {number}")))?;
        open.push(stream);
    }
    thread::sleep(SETTLE);
    let after = resident(pid)?;
    Ok(Idle { connections, before, after })
}

/// Raises the limit on open files to `wanted`; children started later inherit it.
pub(crate) fn raise_files(wanted: u64) -> Result<()> {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if now.maximum.is_some_and(|maximum| maximum < wanted) {
        return Err(Error::new(format!("{wanted} open files are needed and the hard limit is {:?}", now.maximum)));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum })?;
    Ok(())
}
