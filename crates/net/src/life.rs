//! Who is at the other end of a connection, and what is proved of the death of a process.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use crosstie_core::{Error, Kind, instant_after};
use rustix::io::Errno;

#[cfg(feature = "tls")]
use crate::tls::Certificate;
use crate::{
    capabilities::Capabilities,
    fault::FaultLog,
    lifeline::{Death, Lifeline},
    transport::Peer,
    watched::watched,
};

/// How long a proof of death is waited for after a connection was lost. The kernel closes what a dying process had open some microseconds
/// before it calls it dead; this is for machines under load.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// What is known of who is at the other end of a connection, for whoever has given its bytes away. It keeps nothing open but a hold on the
/// process.
#[derive(Clone)]
pub struct Life {
    pub(crate) facts: Arc<Facts>,
}

impl Life {
    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.facts.peer
    }

    /// What this kind of connection can do.
    pub fn capabilities(&self) -> &'static Capabilities {
        self.facts.capabilities
    }

    /// As [`Connection::death`](crate::Connection::death), but tells how the process has ended also where it was no child of ours, if the kernel does within
    /// `patience`: Linux 6.15, and its parent has taken it away.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn death(&self, patience: Duration) -> io::Result<Option<Death>> {
        let until = instant_after(Instant::now(), patience);
        let death = self.facts.death_soon(patience).await?;
        if death != Some(Death::Ended) {
            return Ok(death);
        }
        loop {
            if let Some(status) = self.facts.lifeline.exit_status() {
                return Ok(Some(Death::Exited(status)));
            }
            if Instant::now() >= until {
                return Ok(death);
            }
            // Nothing that tokio can wait for tells when the parent has looked.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// As [`Connection::explain`](crate::Connection::explain).
    pub async fn explain(&self, error: io::Error) -> Error {
        self.facts.explain(error).await
    }
}

/// What is known of a connection besides its bytes.
pub(crate) struct Facts {
    pub(crate) peer: Peer,
    pub(crate) lifeline: Lifeline,
    pub(crate) capabilities: &'static Capabilities,
    pub(crate) faults: Option<FaultLog>,
    #[cfg(feature = "tls")]
    pub(crate) certificate: Option<Arc<Certificate>>,
}

impl Facts {
    pub(crate) async fn death_soon(&self, patience: Duration) -> io::Result<Option<Death>> {
        if let Some(death) = self.lifeline.death(Duration::ZERO)? {
            return Ok(Some(death));
        }
        let Some(descriptor) = self.lifeline.descriptor() else { return Ok(None) };
        let process = watched(descriptor.try_clone_to_owned()?, tokio::io::Interest::READABLE)?;
        // Whether it came or the time was up: look.
        let _ = tokio::time::timeout(patience, process.readable()).await;
        self.lifeline.death(Duration::ZERO)
    }

    /// As [`Self::explain`], which blocks.
    pub(crate) fn explain_now(&self, error: io::Error) -> Error {
        let is_lost = is_lost(&error);
        let death = if is_lost { self.lifeline.death(PATIENCE).ok().flatten() } else { None };
        self.told(error, is_lost, death)
    }

    pub(crate) async fn explain(&self, error: io::Error) -> Error {
        let is_lost = is_lost(&error);
        let death = if is_lost { self.death_soon(PATIENCE).await.ok().flatten() } else { None };
        self.told(error, is_lost, death)
    }
}

/// What the kernel calls timed out is a machine that has not answered it; a wait of ours that is over has no number of the system's.
fn is_lost(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    ) || error.raw_os_error() == Some(Errno::TIMEDOUT.raw_os_error())
}

impl Facts {
    fn told(&self, error: io::Error, is_lost: bool, death: Option<Death>) -> Error {
        #[cfg(feature = "tls")]
        if let Some(told) = crate::tls::tls_refusal(&error) {
            return told;
        }
        let scheme = self.capabilities.scheme;
        match death {
            Some(Death::Exited(status)) => {
                // A child that was started with a channel has a descriptor, of which whoever reads this knows nothing.
                let who = if scheme == "fd" { "child process" } else { "program behind exec:" };
                Error::new(Kind::PeerDied, format!("the {who} has ended ({status})")).because(error)
            }
            Some(Death::Ended) => {
                let who = self.peer.process().map_or(String::new(), |process| format!(" {}", process.pid));
                Error::new(Kind::PeerDied, format!("the process{who} behind {scheme}: has died")).because(error)
            }
            None if is_lost => {
                let text = format!("the connection over {scheme}: was lost; whether the peer lives is not known");
                Error::new(Kind::Disconnected, text).because(error)
            }
            None => error.into(),
        }
    }
}
