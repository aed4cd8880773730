//! `/varz`: the server as a whole, with nats-server's field names.

use std::{collections::BTreeMap, thread};

use crosstie_broker::NATS_VERSION;
use serde::Serialize;

use super::{
    page::Page,
    time::{now, time, uptime},
    usage::Usage,
};

#[derive(Serialize)]
pub(super) struct Varz {
    server_id: String,
    server_name: String,
    version: &'static str,
    proto: u8,
    go: String,
    host: String,
    port: u16,
    auth_required: bool,
    max_connections: usize,
    #[serde(skip_serializing_if = "is_zero")]
    max_subscriptions: usize,
    ping_interval: u128,
    ping_max: u32,
    http_host: String,
    http_port: u16,
    http_base_path: &'static str,
    https_port: u16,
    auth_timeout: f64,
    max_control_line: usize,
    max_payload: usize,
    max_pending: usize,
    cluster: Unserved,
    gateway: Unserved,
    leaf: Unserved,
    mqtt: Unserved,
    websocket: Unserved,
    jetstream: Unserved,
    #[serde(skip_serializing_if = "is_false")]
    tls_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    tls_verify: bool,
    tls_timeout: f64,
    write_deadline: u128,
    start: String,
    now: String,
    uptime: String,
    mem: u64,
    cores: usize,
    gomaxprocs: usize,
    cpu: f64,
    connections: usize,
    total_connections: u64,
    routes: u8,
    remotes: u8,
    leafnodes: u8,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    in_client_msgs: u64,
    out_client_msgs: u64,
    in_client_bytes: u64,
    out_client_bytes: u64,
    slow_consumers: u64,
    slow_consumer_stats: ByKind,
    stale_connections: u64,
    stale_connection_stats: ByKind,
    subscriptions: usize,
    config_load_time: String,
    http_req_stats: BTreeMap<&'static str, u64>,
    // What follows is our own.
    auth_errors: u64,
    refused_connections: u64,
    permission_violations: u64,
    slow_consumer_msgs: u64,
    pending_bytes: u64,
    lame_duck: bool,
}

/// What is not served has an object of its own without members, as in a nats-server that was not told to serve it.
#[derive(Default, Serialize)]
struct Unserved {}

/// A count by kind of connection: there are clients only.
#[derive(Serialize)]
struct ByKind {
    clients: u64,
    routes: u8,
    gateways: u8,
    leafs: u8,
}

impl ByKind {
    const fn of(clients: u64) -> Self {
        Self { clients, routes: 0, gateways: 0, leafs: 0 }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(value: &usize) -> bool {
    *value == 0
}

pub(super) fn varz(page: &Page) -> Varz {
    let (snapshot, usage) = (page.source.snapshot(), Usage::now());
    let options = page.source.options();
    let clients = page.about.clients.as_ref();
    // Over the whole life of the process, as ps has it, rounded to a tenth of a percent.
    let share = usage.cpu.as_secs_f64() / snapshot.uptime.as_secs_f64().max(0.001);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Varz {
        server_id: snapshot.server_id,
        server_name: snapshot.server_name,
        version: NATS_VERSION,
        proto: 1,
        go: format!("crosstie {}", env!("CARGO_PKG_VERSION")),
        host: clients.map(|clients| clients.host.clone()).unwrap_or_default(),
        port: clients.map_or(0, |clients| clients.port),
        auth_required: options.auth.is_required(),
        max_connections: options.limits.max_connections,
        max_subscriptions: options.limits.max_subscriptions,
        ping_interval: options.ping_interval.as_nanos(),
        ping_max: options.max_pings_out,
        http_host: page.address.ip().to_string(),
        http_port: page.address.port(),
        http_base_path: "",
        https_port: 0,
        auth_timeout: options.auth.timeout.as_secs_f64(),
        max_control_line: options.limits.max_control_line,
        max_payload: options.limits.max_payload,
        max_pending: options.limits.max_pending,
        cluster: Unserved {},
        gateway: Unserved {},
        leaf: Unserved {},
        mqtt: Unserved {},
        websocket: Unserved {},
        jetstream: Unserved {},
        tls_required: options.tls.as_ref().is_some_and(|tls| !tls.allow_plain),
        tls_verify: options.tls.as_ref().is_some_and(|tls| tls.files.ca.is_some()),
        tls_timeout: options.tls.as_ref().map_or(0.0, |tls| tls.timeout.as_secs_f64()),
        write_deadline: options.write_deadline.as_nanos(),
        start: time(snapshot.started),
        now: now(),
        uptime: uptime(snapshot.uptime),
        mem: usage.resident,
        cores,
        gomaxprocs: cores,
        cpu: (share * 1000.0).round() / 10.0,
        connections: snapshot.connections,
        total_connections: snapshot.total_connections,
        routes: 0,
        remotes: 0,
        leafnodes: 0,
        in_msgs: snapshot.in_msgs,
        out_msgs: snapshot.out_msgs,
        in_bytes: snapshot.in_bytes,
        out_bytes: snapshot.out_bytes,
        in_client_msgs: snapshot.in_msgs,
        out_client_msgs: snapshot.out_msgs,
        in_client_bytes: snapshot.in_bytes,
        out_client_bytes: snapshot.out_bytes,
        slow_consumers: snapshot.slow_consumers,
        slow_consumer_stats: ByKind::of(snapshot.slow_consumers),
        stale_connections: snapshot.stale_connections,
        stale_connection_stats: ByKind::of(snapshot.stale_connections),
        subscriptions: snapshot.subscriptions,
        config_load_time: time(snapshot.options_since),
        http_req_stats: page.asked.counts(),
        auth_errors: snapshot.auth_errors,
        refused_connections: snapshot.refused_connections,
        permission_violations: snapshot.permission_violations,
        slow_consumer_msgs: snapshot.slow_consumer_msgs,
        pending_bytes: snapshot.pending_bytes,
        lame_duck: snapshot.lame_duck,
    }
}
