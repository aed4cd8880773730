//! Where the two processes of a case meet.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crosstie_core::Endpoint;

use crate::error::{Error, Result};

/// Which of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one that measures. It listens, and has the other one started then.
    Measurer,
    Peer,
}

/// What the two have in common.
pub(super) struct Place {
    side: Side,
    case: &'static str,
    folder: PathBuf,
    peer: Option<Peer>,
}

impl Place {
    pub(super) const fn new(side: Side, case: &'static str, folder: PathBuf) -> Self {
        Self { side, case, folder, peer: None }
    }

    pub(super) const fn side(&self) -> Side {
        self.side
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A Unix socket there.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    pub(super) fn unix(&self) -> Result<Endpoint> {
        let text = format!("unix:{}", self.socket().display());
        text.parse().map_err(Error::during(text.clone()))
    }

    /// A name that is the folder's alone, in the directory where everybody's shared memory is.
    pub(super) fn shm(&self) -> Result<Endpoint> {
        self.shm_with("")
    }

    /// The same, where threads never sleep.
    pub(super) fn busy(&self) -> Result<Endpoint> {
        self.shm_with("?wait=busy")
    }

    fn shm_with(&self, options: &str) -> Result<Endpoint> {
        let name = self.folder.file_name().and_then(|name| name.to_str()).unwrap_or("crosstie-bench");
        let text = format!("shm:{name}{options}");
        text.parse().map_err(Error::during(text.clone()))
    }

    /// Says that the other process may come: starts it.
    pub(super) fn is_ready(&mut self) -> Result<()> {
        self.peer = Some(Peer::start(self.case, &self.folder)?);
        Ok(())
    }

    /// Waits until the other process has gone, which it does by itself.
    pub(super) fn end(mut self) -> Result<()> {
        self.peer.take().map_or(Ok(()), Peer::end)
    }
}

struct Peer(Child);

impl Peer {
    fn start(case: &str, folder: &Path) -> Result<Self> {
        let program = std::env::current_exe()?;
        let command = Command::new(program).args(["streams-peer", case]).arg(folder).stdin(Stdio::null()).spawn();
        Ok(Self(command.map_err(Error::during("starting the other process"))?))
    }

    fn end(mut self) -> Result<()> {
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { Err(Error::new(format!("the other process ended with {status}"))) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended by itself, unless the measurer failed; then it may have something to say about why.
        let limit = Instant::now() + Duration::from_secs(1);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
