//! What a broker is told before it starts: limits, patience, and who may do what.

use std::{fmt, time::Duration};

use crosstie_core::SubjectPattern;
use crosstie_net::TlsFiles;

/// Everything a broker can be told. The defaults are those of nats-server unless the field says otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The name in `INFO` and monitoring; the server id unless given.
    pub server_name: Option<String>,
    /// The host clients are told in `INFO`; the first listener's unless given.
    pub advertise_host: Option<String>,
    /// How much of everything there may be.
    pub limits: Limits,
    /// Who may connect, and what they may do then.
    pub auth: Auth,
    /// The time between two `PING`s to a quiet client.
    pub ping_interval: Duration,
    /// How many `PING`s may stay unanswered before the connection is *stale*.
    pub max_pings_out: u32,
    /// How long a client may take no byte of what is pending for it.
    pub write_deadline: Duration,
    /// Over how long lame duck mode spreads the closing of connections.
    pub lame_duck_duration: Duration,
    /// How long lame duck mode waits before it closes the first one.
    pub lame_duck_grace: Duration,
    /// How many pairs of reactor threads share the connections, one of each pair for those who keep a core busy; one pair per core if zero.
    pub reactors: usize,
    /// How long a reactor may wait awake for the next message before it sleeps; zero, as it is unless set: not at all. At most a
    /// millisecond. It spares a message the waking of a core, and costs up to one core per reactor while messages come in gaps
    /// shorter than this.
    pub spin: Duration,
    /// Listen beyond loopback although nobody has to authenticate. It must be spelled.
    pub insecure: bool,
    /// TLS for those who come over the network; none unless set.
    pub tls: Option<Tls>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            server_name: None,
            advertise_host: None,
            limits: Limits::default(),
            auth: Auth::default(),
            ping_interval: Duration::from_secs(120),
            max_pings_out: 2,
            write_deadline: Duration::from_secs(10),
            lame_duck_duration: Duration::from_secs(120),
            lame_duck_grace: Duration::from_secs(10),
            reactors: 0,
            spin: Duration::ZERO,
            insecure: false,
            tls: None,
        }
    }
}

/// TLS for clients that come over the network; those of a Unix socket need none.
///
/// A connection keeps about 8 KiB more than one in the clear, and up to 50 KiB more in the middle of large messages, which no share of
/// [`Limits::memory`] counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// The certificate and its key; with [`TlsFiles::ca`], nobody gets in without a certificate of that authority.
    pub files: TlsFiles,
    /// How long a client may take from being accepted to the end of its handshake.
    pub timeout: Duration,
    /// Whether the handshake comes before `INFO` or after it.
    pub handshake_first: HandshakeFirst,
    /// Whether those who speak in the clear are let in, too.
    pub allow_plain: bool,
}

impl Tls {
    /// TLS after `INFO` for everybody, within 2 seconds.
    pub fn new(files: TlsFiles) -> Self {
        Self { files, timeout: Duration::from_secs(2), handshake_first: HandshakeFirst::No, allow_plain: false }
    }
}

/// Whether the handshake comes before `INFO` or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFirst {
    /// `INFO` comes first, in the clear.
    No,
    /// The handshake comes first: nothing at all is said in the clear.
    Always,
    /// The handshake comes first if it begins within this time; else `INFO` does.
    Within(Duration),
}

/// How much of everything there may be. Zero means no limit only where it says so.
///
/// Each bound on memory is a share of [`Limits::memory`], as [`Limits::within`] cuts it; `docs/decisions/0004-memory.md` adds them up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Memory that the whole broker is to fit in. It bounds nothing itself: the shares do.
    pub memory: usize,
    /// Connections at a time. Beyond it one that never said `CONNECT` makes room, the oldest first; else the newcomer is refused.
    pub max_connections: usize,
    /// Subscriptions of one connection; zero: no limit but that on what all clients have remembered.
    pub max_subscriptions: usize,
    /// Subscriptions of one connection to one and the same pattern: how often one message may be sent to a client. Zero: no limit.
    pub max_same_subscriptions: usize,
    /// Bytes of a payload, headers included. What all connections hold of it is bounded by `max_held_input_total`.
    pub max_payload: usize,
    /// Bytes of a line of the protocol.
    pub max_control_line: usize,
    /// Bytes that may wait for a slow client before it is cut off. Worst-case memory for output is this much per
    /// connection, bounded in all by `max_pending_total`.
    pub max_pending: usize,
    /// Bytes that may wait for all clients together; beyond it those are cut off first that keep the most for the longest.
    pub max_pending_total: usize,
    /// Bytes that may be held for all operations whose end has not come; beyond it those are cut off first that hold the most
    /// for the longest.
    pub max_held_input_total: usize,
    /// Bytes that subscriptions and what clients say of themselves may take up in all. A client may have no more than what is still
    /// free, so that one, or a hundred, leave some to the next.
    pub max_remembered_total: usize,
    /// Bytes a client may send before it has authenticated.
    pub max_unauthenticated_bytes: usize,
    /// Connections that may be between `INFO` and `CONNECT` at a time.
    pub max_unauthenticated: usize,
    /// Connections that are remembered after their end, for monitoring; 4 MiB of them at most.
    pub max_closed: usize,
}

impl Limits {
    /// What one connection that does nothing takes up, generously.
    const CONNECTION: usize = 4 * 1024;

    /// Limits under which a broker fits in `memory` bytes, whatever its clients do.
    pub fn within(memory: usize) -> Self {
        let max_connections = (memory / 4 / Self::CONNECTION).clamp(16, 65_536);
        let max_pending_total = memory / 4;
        Self {
            memory,
            max_connections,
            max_subscriptions: 0,
            max_same_subscriptions: 0,
            max_payload: 1024 * 1024,
            max_control_line: 4096,
            max_pending: max_pending_total.min(64 * 1024 * 1024),
            max_pending_total,
            max_held_input_total: memory / 8,
            max_remembered_total: memory / 16 * 3,
            max_unauthenticated_bytes: 64 * 1024,
            max_unauthenticated: max_connections.min(16_384),
            max_closed: 10_000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::within(256 * 1024 * 1024)
    }
}

/// Who may connect. With neither token nor users, everybody may.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Auth {
    /// One token that lets anybody in who knows it.
    pub token: Option<Secret>,
    /// The users, each with what it may do.
    pub users: Vec<User>,
    /// The user that a client without credentials is taken for.
    pub no_auth_user: Option<String>,
    /// How long a client may take from `INFO` to a valid `CONNECT`.
    pub timeout: Duration,
}

impl Default for Auth {
    fn default() -> Self {
        Self { token: None, users: Vec::new(), no_auth_user: None, timeout: Duration::from_secs(2) }
    }
}

impl Auth {
    /// True if a client has to show something before it may do anything.
    pub fn is_required(&self) -> bool {
        (self.token.is_some() || !self.users.is_empty()) && self.no_auth_user.is_none()
    }
}

/// A user, its password, and what it may do.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// What it may do.
    pub permissions: Permissions,
}

/// A password or token: in the clear, or as a bcrypt hash (`$2a$…`, `$2b$…`, `$2y$…`).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret `text`; a bcrypt hash is recognised by its form.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// True if it is a bcrypt hash, which takes long to check on purpose.
    pub fn is_hashed(&self) -> bool {
        let text = self.0.as_bytes();
        text.len() == 60 && matches!(text.get(..4), Some(b"$2a$" | b"$2b$" | b"$2y$" | b"$2x$"))
    }

    /// The text of the configuration.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a client may publish and subscribe to. Everything, unless a list says otherwise; *deny* beats *allow*.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects to publish to.
    pub publish: Rules,
    /// Subjects to subscribe to, each with the queue groups it holds for.
    pub subscribe: Rules,
    /// Leave to publish to the reply subject of a message just received.
    pub responses: Option<Responses>,
}

/// An allow and a deny list. Without an allow list everything is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// If there is one, only what it covers is allowed.
    pub allow: Option<Vec<Rule>>,
    /// What is denied, allowed or not.
    pub deny: Vec<Rule>,
}

/// A subject pattern, for one queue group or for plain subscriptions and every group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The subjects.
    pub subject: SubjectPattern,
    /// The queue groups it holds for, a pattern as well; `None`: no matter which, and none.
    pub queue: Option<SubjectPattern>,
}

/// How often and how long a reply subject may be published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Responses {
    /// How many answers to one request; `None`: no limit.
    pub max: Option<u32>,
    /// How long after the request; `None`: no limit.
    pub expires: Option<Duration>,
}

impl Default for Responses {
    fn default() -> Self {
        Self { max: Some(1), expires: Some(Duration::from_secs(120)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_leave_room_for_what_has_none() {
        for memory in [16, 64, 256, 1024].map(|mib| mib * 1024 * 1024) {
            let limits = Limits::within(memory);
            let connections = limits.max_connections * Limits::CONNECTION;
            let shares =
                limits.max_pending_total + limits.max_held_input_total + limits.max_remembered_total + connections;
            assert!(shares <= memory / 16 * 13, "{shares} of {memory}");
            assert!(limits.max_pending <= limits.max_pending_total);
        }
    }
}
