//! `/connz`: the connections, sorted and by pages, with nats-server's field names.

use std::cmp::Reverse;

use crosstie_broker::{ConnectionSnapshot, SubscriptionSnapshot};
use serde::{Deserialize, Serialize};

use super::{
    page::Monitored,
    time::{now, time, uptime},
};

/// How many connections a page has unless asked otherwise, as in nats-server.
const LIMIT: usize = 1024;

#[derive(Debug, Default, Deserialize)]
pub(super) struct ConnzQuery {
    #[serde(default)]
    sort: String,
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
    /// `1`, `true` or `detail`.
    #[serde(default)]
    subs: String,
    /// `1` or `true`: with the user of each.
    #[serde(default)]
    auth: String,
    cid: Option<u64>,
    /// `open` (as if not given), `closed`, `all`: closed connections are not kept.
    #[serde(default)]
    state: String,
}

#[derive(Serialize)]
pub(super) struct Connz {
    server_id: String,
    now: String,
    num_connections: usize,
    total: usize,
    offset: usize,
    limit: usize,
    connections: Vec<Connection>,
}

#[derive(Serialize)]
struct Connection {
    cid: u64,
    kind: &'static str,
    r#type: &'static str,
    ip: String,
    port: u16,
    start: String,
    last_activity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<String>,
    uptime: String,
    idle: String,
    pending_bytes: u64,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    subscriptions: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    lang: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorized_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_list: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_list_detail: Option<Vec<Subscription>>,
}

/// A subscription with its connection.
#[derive(Serialize)]
pub(super) struct Subscription {
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    qgroup: Option<String>,
    sid: String,
    msgs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
    cid: u64,
}

impl Subscription {
    pub(super) fn new(cid: u64, subscription: &SubscriptionSnapshot) -> Self {
        Self {
            subject: subscription.subject.clone(),
            qgroup: subscription.queue.clone(),
            sid: subscription.sid.clone(),
            msgs: subscription.msgs,
            max: subscription.max,
            cid,
        }
    }
}

pub(super) fn connz(source: &dyn Monitored, query: &ConnzQuery) -> Result<Connz, String> {
    let mut all = match query.state.to_ascii_lowercase().as_str() {
        "" | "open" | "all" | "any" => source.connections(),
        "closed" => Vec::new(),
        other => return Err(format!("state: expected open, closed or all, found '{other}'")),
    };
    all.retain(|connection| query.cid.is_none_or(|cid| connection.cid == cid));
    sort(&mut all, &query.sort)?;
    let (total, limit) = (all.len(), query.limit.filter(|limit| *limit > 0).unwrap_or(LIMIT));
    let connections: Vec<_> =
        all.into_iter().skip(query.offset).take(limit).map(|connection| describe(connection, query)).collect();
    Ok(Connz {
        server_id: source.snapshot().server_id,
        now: now(),
        num_connections: connections.len(),
        total,
        offset: query.offset,
        limit,
        connections,
    })
}

/// The most first, except where the least is what one looks for.
fn sort(all: &mut [ConnectionSnapshot], by: &str) -> Result<(), String> {
    match by {
        "" | "cid" => all.sort_by_key(|connection| connection.cid),
        "start" => all.sort_by_key(|connection| (connection.start, connection.cid)),
        "subs" => all.sort_by_key(|connection| Reverse(connection.subscriptions.len())),
        "pending" => all.sort_by_key(|connection| Reverse(connection.pending_bytes)),
        "msgs_to" => all.sort_by_key(|connection| Reverse(connection.out_msgs)),
        "msgs_from" => all.sort_by_key(|connection| Reverse(connection.in_msgs)),
        "bytes_to" => all.sort_by_key(|connection| Reverse(connection.out_bytes)),
        "bytes_from" => all.sort_by_key(|connection| Reverse(connection.in_bytes)),
        "last" => all.sort_by_key(|connection| Reverse(connection.last_activity)),
        "idle" => all.sort_by_key(|connection| Reverse(connection.idle)),
        "uptime" => all.sort_by_key(|connection| Reverse(connection.uptime)),
        "rtt" => all.sort_by_key(|connection| Reverse(connection.rtt)),
        other => {
            return Err(format!(
                "sort: expected cid, start, subs, pending, msgs_to, msgs_from, bytes_to, bytes_from, last, idle, uptime or rtt, \
                 found '{other}'"
            ));
        }
    }
    Ok(())
}

pub(super) fn is_yes(text: &str) -> bool {
    matches!(text, "1" | "t" | "true" | "yes")
}

fn describe(connection: ConnectionSnapshot, query: &ConnzQuery) -> Connection {
    let subscriptions = &connection.subscriptions;
    let list = is_yes(&query.subs).then(|| subscriptions.iter().map(|one| one.subject.clone()).collect());
    let detail = (query.subs == "detail")
        .then(|| subscriptions.iter().map(|one| Subscription::new(connection.cid, one)).collect());
    Connection {
        cid: connection.cid,
        kind: "Client",
        r#type: "nats",
        ip: connection.peer.map(|peer| peer.ip().to_string()).unwrap_or_default(),
        port: connection.peer.map_or(0, |peer| peer.port()),
        start: time(connection.start),
        last_activity: time(connection.last_activity),
        rtt: connection.rtt.map(|rtt| format!("{rtt:?}")),
        uptime: uptime(connection.uptime),
        idle: uptime(connection.idle),
        pending_bytes: connection.pending_bytes,
        in_msgs: connection.in_msgs,
        out_msgs: connection.out_msgs,
        in_bytes: connection.in_bytes,
        out_bytes: connection.out_bytes,
        subscriptions: subscriptions.len(),
        authorized_user: connection.user.filter(|_| is_yes(&query.auth)),
        subscriptions_list: list,
        subscriptions_list_detail: detail,
        name: connection.name,
        lang: connection.lang,
        version: connection.version,
    }
}
