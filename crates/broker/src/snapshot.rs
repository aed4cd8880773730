//! What a broker tells of itself: counters, connections, subscriptions, at one moment.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crosstie_core::Wall;
use crosstie_net::Certificate;

/// The broker as a whole.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The unique id of this run.
    pub server_id: String,
    /// The name.
    pub server_name: String,
    /// When it started.
    pub started: Wall,
    /// How long it has run.
    pub uptime: Duration,
    /// Connections open now.
    pub connections: usize,
    /// Connections accepted since the start.
    pub total_connections: u64,
    /// Subscriptions now.
    pub subscriptions: usize,
    /// Messages from clients.
    pub in_msgs: u64,
    /// Payload bytes from clients.
    pub in_bytes: u64,
    /// Messages to clients.
    pub out_msgs: u64,
    /// Payload bytes to clients.
    pub out_bytes: u64,
    /// Clients cut off because they did not keep up.
    pub slow_consumers: u64,
    /// Messages that went with them.
    pub slow_consumer_msgs: u64,
    /// Clients that answered no `PING`.
    pub stale_connections: u64,
    /// Failed authentications.
    pub auth_errors: u64,
    /// Connections refused by a limit.
    pub refused_connections: u64,
    /// Publishes and subscriptions refused by a permission.
    pub permission_violations: u64,
    /// Bytes that wait for clients now.
    pub pending_bytes: u64,
    /// When the options in force were put in force.
    pub options_since: Wall,
    /// Bytes held of operations whose end has not come.
    pub held_input_bytes: u64,
    /// Bytes that subscriptions take up, by our own count.
    pub remembered_bytes: u64,
    /// Clients cut off because they held too much of what they never ended.
    pub held_input_evictions: u64,
    /// Clients cut off because they subscribed to so much that others could not.
    pub subscription_evictions: u64,
    /// True once lame duck mode has begun.
    pub lame_duck: bool,
    /// Entries of the match cache, its hits and misses.
    pub cache: CacheSnapshot,
}

/// The cache between a subject and those who want it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheSnapshot {
    /// Subjects in it now.
    pub entries: usize,
    /// Look-ups it could answer.
    pub hits: u64,
    /// Look-ups it could not.
    pub misses: u64,
    /// Subscriptions made since the start.
    pub inserts: u64,
    /// Subscriptions ended since the start.
    pub removes: u64,
    /// The most receivers that a subject had among the look-ups it could not answer, a queue group counted by its members.
    pub max_fanout: u64,
    /// The receivers of all subjects among the look-ups it could not answer.
    pub fanout: u64,
}

/// One connection.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectionSnapshot {
    /// Its number.
    pub cid: u64,
    /// Where it came from; `None` over a Unix socket.
    pub peer: Option<SocketAddr>,
    /// When it was accepted.
    pub start: Wall,
    /// When it last said or was told something.
    pub last_activity: Wall,
    /// How long it has been open.
    pub uptime: Duration,
    /// How long it has said nothing.
    pub idle: Duration,
    /// The last measured round trip, if there was one.
    pub rtt: Option<Duration>,
    /// What the client calls itself.
    pub name: String,
    /// Its language.
    pub lang: String,
    /// The version of its library.
    pub version: String,
    /// The user it authenticated as.
    pub user: Option<String>,
    /// Bytes that wait for it.
    pub pending_bytes: u64,
    /// Messages from it.
    pub in_msgs: u64,
    /// Payload bytes from it.
    pub in_bytes: u64,
    /// Messages to it.
    pub out_msgs: u64,
    /// Payload bytes to it.
    pub out_bytes: u64,
    /// How many subscriptions it has, or had.
    pub subscription_count: usize,
    /// Its subscriptions, if they were asked for; of one that has ended the first 32 at most.
    pub subscriptions: Vec<SubscriptionSnapshot>,
    /// How it is kept from being overheard, if it is.
    pub tls: Option<TlsSnapshot>,
    /// When and why it ended, if it has.
    pub closed: Option<ClosedSnapshot>,
}

/// The TLS of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSnapshot {
    /// The cipher suite, by the name that the IANA has for it. The version is always 1.3.
    pub cipher_suite: String,
    /// Whether the handshake came before `INFO`.
    pub handshake_first: bool,
    /// The certificate of the client, if it was asked for one.
    pub certificate: Option<Arc<Certificate>>,
}

impl TlsSnapshot {
    pub(crate) const fn new(
        cipher_suite: String,
        handshake_first: bool,
        certificate: Option<Arc<Certificate>>,
    ) -> Self {
        Self { cipher_suite, handshake_first, certificate }
    }
}

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClosedSnapshot {
    /// When.
    pub stop: Wall,
    /// Why, in nats-server's words where it has them.
    pub reason: &'static str,
}

/// One subscription.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscriptionSnapshot {
    /// The pattern.
    pub subject: String,
    /// The queue group.
    pub queue: Option<String>,
    /// The client's id for it.
    pub sid: String,
    /// Messages delivered.
    pub msgs: u64,
    /// After how many it ends.
    pub max: Option<u64>,
}
