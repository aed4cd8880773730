//! Why connections ended, and the last of those that did.

use std::{
    collections::VecDeque,
    mem::size_of,
    sync::{Mutex, OnceLock},
};

use super::lock::lock;
use crate::snapshot::ConnectionSnapshot;

/// Why a connection ended, for the monitoring page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    ClientClosed,
    AuthenticationFailure,
    AuthenticationTimeout,
    Tls,
    PendingBytes,
    WriteDeadline,
    WriteError,
    ReadError,
    ParseError,
    Protocol,
    ProtocolVersion,
    Stale,
    MaxConnections,
    Payload,
    ControlLine,
    HeldInput,
    Subscriptions,
    NoResponders,
    Shutdown,
}

impl Reason {
    /// In nats-server's words, where it has them.
    const fn text(self) -> &'static str {
        match self {
            Self::ClientClosed => "Client Closed",
            Self::AuthenticationFailure => "Authentication Failure",
            Self::AuthenticationTimeout => "Authentication Timeout",
            Self::Tls => "TLS Handshake Failure",
            Self::PendingBytes => "Slow Consumer (Pending Bytes)",
            Self::WriteDeadline => "Slow Consumer (Write Deadline)",
            Self::WriteError => "Write Error",
            Self::ReadError => "Read Error",
            Self::ParseError => "Parse Error",
            Self::Protocol => "Protocol Violation",
            Self::ProtocolVersion => "Bad Client Protocol Version",
            Self::Stale => "Stale Connection",
            Self::MaxConnections => "Maximum Connections Exceeded",
            Self::Payload => "Maximum Message Payload Exceeded",
            Self::ControlLine => "Maximum Control Line Exceeded",
            // Ours alone: nats-server holds whatever has begun.
            Self::HeldInput => "Maximum Held Input Exceeded",
            Self::Subscriptions => "Maximum Subscriptions Exceeded",
            Self::NoResponders => "No Responders Requires Headers",
            Self::Shutdown => "Server Shutdown",
        }
    }
}

/// Why one connection ends: whoever says so first is right, since what follows comes of it.
#[derive(Default)]
pub(super) struct Parting(OnceLock<Reason>);

impl Parting {
    pub(super) fn note(&self, reason: Reason) {
        // A second reason is a consequence of the first.
        let _ = self.0.set(reason);
    }

    /// The reason; that the client has gone by itself if nobody has said anything else.
    pub(super) fn text(&self) -> &'static str {
        self.0.get().unwrap_or(&Reason::ClientClosed).text()
    }
}

/// The last connections that have ended, the oldest first. Bounded by number and by bytes: names and subjects are the clients'.
#[derive(Default)]
pub(super) struct Departed {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    connections: VecDeque<ConnectionSnapshot>,
    bytes: usize,
}

impl Departed {
    /// The most that all of them may take up, in bytes.
    const MAX_BYTES: usize = 4 * 1024 * 1024;
    /// How many subscriptions of one are kept.
    pub(super) const MAX_SUBSCRIPTIONS: usize = 32;

    pub(super) fn add(&self, connection: ConnectionSnapshot, max: usize) {
        let mut kept = lock(&self.kept);
        kept.bytes += weight(&connection);
        kept.connections.push_back(connection);
        while kept.connections.len() > max || kept.bytes > Self::MAX_BYTES {
            let Some(oldest) = kept.connections.pop_front() else { return };
            kept.bytes -= weight(&oldest);
        }
    }

    pub(super) fn all(&self) -> Vec<ConnectionSnapshot> {
        lock(&self.kept).connections.iter().cloned().collect()
    }
}

/// About how many bytes it takes up.
fn weight(connection: &ConnectionSnapshot) -> usize {
    let texts = [&connection.name, &connection.lang, &connection.version].map(String::len);
    let user = connection.user.as_ref().map_or(0, String::len);
    let subscriptions = connection
        .subscriptions
        .iter()
        .map(|one| size_of_val(one) + one.subject.len() + one.sid.len() + one.queue.as_ref().map_or(0, String::len));
    size_of::<ConnectionSnapshot>() + texts.iter().sum::<usize>() + user + subscriptions.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(cid: u64, name: usize) -> ConnectionSnapshot {
        ConnectionSnapshot { cid, name: "n".repeat(name), ..ConnectionSnapshot::default() }
    }

    fn cids(departed: &Departed) -> Vec<u64> {
        departed.all().iter().map(|one| one.cid).collect()
    }

    #[test]
    fn the_last_are_kept_up_to_a_number_and_to_a_sum_of_bytes() {
        let departed = Departed::default();
        (1..=5).for_each(|cid| departed.add(gone(cid, 0), 3));
        assert_eq!(cids(&departed), [3, 4, 5]);
        departed.add(gone(6, Departed::MAX_BYTES / 2), 3);
        departed.add(gone(7, Departed::MAX_BYTES / 2), 3);
        assert_eq!(cids(&departed), [7], "two of these are too many");
        departed.add(gone(8, Departed::MAX_BYTES), 3);
        assert!(cids(&departed).is_empty(), "one of these is too much");
        departed.add(gone(9, 0), 3);
        departed.add(gone(10, 0), 0);
        assert!(cids(&departed).is_empty() && lock(&departed.kept).bytes == 0, "zero keeps none");
    }

    #[test]
    fn the_first_reason_holds() {
        let parting = Parting::default();
        assert_eq!(parting.text(), "Client Closed");
        parting.note(Reason::Stale);
        parting.note(Reason::WriteError);
        assert_eq!(parting.text(), "Stale Connection");
    }
}
