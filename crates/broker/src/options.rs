//! What a broker is told before it starts: limits, patience, and who may do what.

use std::{fmt, time::Duration};

use crosstie_core::SubjectPattern;

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
    /// How many reactor threads share the connections; one per core if zero.
    pub reactors: usize,
    /// How long a reactor may wait awake for the next message before it sleeps; zero, as it is unless set: not at all. At most a
    /// millisecond. It spares a message the waking of a core, and costs up to one core per reactor while messages come in gaps
    /// shorter than this.
    pub spin: Duration,
    /// Listen beyond loopback although nobody has to authenticate. It must be spelled.
    pub insecure: bool,
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
        }
    }
}

/// How much of everything there may be. Zero means no limit only where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time.
    pub max_connections: usize,
    /// Subscriptions of one connection; zero: no limit.
    pub max_subscriptions: usize,
    /// Bytes of a payload, headers included. What all connections hold of it is bounded by `max_held_input_total`.
    pub max_payload: usize,
    /// Bytes of a line of the protocol.
    pub max_control_line: usize,
    /// Bytes that may wait for a slow client before it is cut off. Worst-case memory for output is this much per
    /// connection, bounded in all by `max_pending_total`.
    pub max_pending: usize,
    /// Bytes that may wait for all clients together; beyond it the client with the most is cut off first.
    pub max_pending_total: usize,
    /// Bytes that may be held for all operations whose end has not come; beyond it a client that adds to them is cut
    /// off. A client that holds no more than 4 KiB is spared.
    pub max_held_input_total: usize,
    /// Bytes a client may send before it has authenticated.
    pub max_unauthenticated_bytes: usize,
    /// Connections that may be between `INFO` and `CONNECT` at a time.
    pub max_unauthenticated: usize,
    /// Connections that are remembered after their end, for monitoring; 4 MiB of them at most.
    pub max_closed: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 65_536,
            max_subscriptions: 0,
            max_payload: 1024 * 1024,
            max_control_line: 4096,
            max_pending: 64 * 1024 * 1024,
            max_pending_total: 128 * 1024 * 1024,
            max_held_input_total: 64 * 1024 * 1024,
            max_unauthenticated_bytes: 64 * 1024,
            max_unauthenticated: 16_384,
            max_closed: 10_000,
        }
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
