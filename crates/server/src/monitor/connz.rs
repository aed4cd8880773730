//! `/connz`: the connections, sorted and by pages, with nats-server's field names.

use std::cmp::Reverse;

use crosstie_broker::{ConnectionSnapshot, SubscriptionSnapshot};
use serde::Serialize;

use super::{
    page::Monitored,
    question::{ACCOUNT, Question},
    time::{now, time, uptime},
};

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
    stop: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
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
    tls_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cipher_suite: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    tls_first: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_peer_certs: Option<[PeerCertificate; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorized_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_list: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_list_detail: Option<Vec<Subscription>>,
    name_tag: &'static str,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Who a client has proved to be.
#[derive(Serialize)]
struct PeerCertificate {
    subject: String,
    cert_sha256: String,
}

/// A subscription with its connection.
#[derive(Serialize)]
pub(super) struct Subscription {
    /// Told where the page is about all accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_tag: Option<&'static str>,
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
            account: None,
            account_tag: None,
            subject: subscription.subject.clone(),
            qgroup: subscription.queue.clone(),
            sid: subscription.sid.clone(),
            msgs: subscription.msgs,
            max: subscription.max,
            cid,
        }
    }

    pub(super) const fn with_account(mut self) -> Self {
        (self.account, self.account_tag) = (Some(ACCOUNT), Some(ACCOUNT));
        self
    }
}

pub(super) fn connz(source: &dyn Monitored, question: &Question) -> Result<Connz, String> {
    let (mut all, are_open) = match question.text("state").map(str::to_ascii_lowercase).as_deref() {
        None | Some("open") => (source.connections(), true),
        Some("all" | "any") => (source.closed_connections().into_iter().chain(source.connections()).collect(), false),
        Some("closed") => (source.closed_connections(), false),
        Some(other) => return Err(format!("state: expected open, closed, all or any, found '{other}'")),
    };
    let cid = question.cid()?;
    all.retain(|connection| {
        cid.is_none_or(|cid| connection.cid == cid)
            && question.account_is_ours()
            && question.text("user").is_none_or(|user| connection.user.as_deref() == Some(user))
            && question.text("mqtt_client").is_none()
    });
    sort(&mut all, question.text("sort").unwrap_or("cid"), are_open)?;
    let (offset, limit) = question.rows()?;
    let (total, shown) = (all.len(), Shown::of(question)?);
    let connections: Vec<_> =
        all.into_iter().skip(offset).take(limit).map(|connection| describe(connection, &shown)).collect();
    Ok(Connz {
        server_id: source.snapshot().server_id,
        now: now(),
        num_connections: connections.len(),
        total,
        offset,
        limit,
        connections,
    })
}

/// What is told of each connection beyond the rest.
struct Shown {
    subjects: bool,
    subscriptions: bool,
    user: bool,
}

impl Shown {
    fn of(question: &Question) -> Result<Self, String> {
        let subscriptions = question.text("subs").is_some_and(|text| text.eq_ignore_ascii_case("detail"));
        let subjects = !subscriptions && question.yes("subs")?;
        Ok(Self { subjects, subscriptions, user: question.yes("auth")? })
    }
}

/// The most first, except where the least is what one looks for.
fn sort(all: &mut [ConnectionSnapshot], by: &str, are_open: bool) -> Result<(), String> {
    match by {
        "cid" => all.sort_by_key(|connection| connection.cid),
        "start" => all.sort_by_key(|connection| (connection.start, connection.cid)),
        "subs" => all.sort_by_key(|connection| Reverse(connection.subscription_count)),
        "pending" => all.sort_by_key(|connection| Reverse(connection.pending_bytes)),
        "msgs_to" => all.sort_by_key(|connection| Reverse(connection.out_msgs)),
        "msgs_from" => all.sort_by_key(|connection| Reverse(connection.in_msgs)),
        "bytes_to" => all.sort_by_key(|connection| Reverse(connection.out_bytes)),
        "bytes_from" => all.sort_by_key(|connection| Reverse(connection.in_bytes)),
        "last" => all.sort_by_key(|connection| Reverse(connection.last_activity)),
        "idle" => all.sort_by_key(|connection| Reverse(connection.idle)),
        "uptime" => all.sort_by_key(|connection| Reverse(connection.uptime)),
        "rtt" => all.sort_by_key(|connection| Reverse(connection.rtt)),
        "stop" | "reason" if are_open => {
            return Err(format!("sort: '{by}' is for closed connections: ask for state=closed or state=all"));
        }
        "stop" => all.sort_by_key(|connection| Reverse(connection.closed.map(|closed| closed.stop))),
        "reason" => all.sort_by_key(|connection| connection.closed.map(|closed| closed.reason)),
        other => {
            return Err(format!(
                "sort: expected cid, start, subs, pending, msgs_to, msgs_from, bytes_to, bytes_from, last, idle, uptime or rtt, \
                 found '{other}'"
            ));
        }
    }
    Ok(())
}

fn describe(connection: ConnectionSnapshot, shown: &Shown) -> Connection {
    // As in nats-server: a list without rows is left out, and what has ended is told with its account.
    let subscriptions = Some(&connection.subscriptions).filter(|all| !all.is_empty());
    let row = |one| match (Subscription::new(connection.cid, one), connection.closed) {
        (row, Some(_)) => row.with_account(),
        (row, None) => row,
    };
    let list = subscriptions.filter(|_| shown.subjects);
    let detail = subscriptions.filter(|_| shown.subscriptions);
    let list = list.map(|all| all.iter().map(|one| one.subject.clone()).collect());
    let detail = detail.map(|all| all.iter().map(row).collect());
    let tls = connection.tls.as_ref();
    let certificate = tls.and_then(|tls| tls.certificate.as_deref()).filter(|_| shown.user);
    Connection {
        cid: connection.cid,
        kind: "Client",
        r#type: "nats",
        ip: connection.peer.map(|peer| peer.ip().to_string()).unwrap_or_default(),
        port: connection.peer.map_or(0, |peer| peer.port()),
        start: time(connection.start),
        last_activity: time(connection.last_activity),
        stop: connection.closed.map(|closed| time(closed.stop)),
        reason: connection.closed.map(|closed| closed.reason),
        rtt: connection.rtt.map(|rtt| format!("{rtt:?}")),
        uptime: uptime(connection.uptime),
        idle: uptime(connection.idle),
        pending_bytes: connection.pending_bytes,
        in_msgs: connection.in_msgs,
        out_msgs: connection.out_msgs,
        in_bytes: connection.in_bytes,
        out_bytes: connection.out_bytes,
        subscriptions: connection.subscription_count,
        tls_version: tls.map(|_| "1.3"),
        tls_cipher_suite: tls.map(|tls| tls.cipher_suite.clone()),
        tls_first: tls.is_some_and(|tls| tls.handshake_first),
        tls_peer_certs: certificate.map(|certificate| {
            let subject = certificate.common_name().map(|name| format!("CN={name}")).unwrap_or_default();
            [PeerCertificate { subject, cert_sha256: certificate.fingerprint() }]
        }),
        authorized_user: connection.user.filter(|_| shown.user),
        subscriptions_list: list,
        subscriptions_list_detail: detail,
        name: connection.name,
        lang: connection.lang,
        version: connection.version,
        name_tag: ACCOUNT,
    }
}
