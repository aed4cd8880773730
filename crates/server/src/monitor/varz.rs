//! `/varz`: the server as a whole, with nats-server's field names.

use std::thread;

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
    host: String,
    port: u16,
    auth_required: bool,
    max_connections: usize,
    max_subscriptions: usize,
    ping_interval: u128,
    ping_max: u32,
    http_host: String,
    http_port: u16,
    auth_timeout: f64,
    max_control_line: usize,
    max_payload: usize,
    max_pending: usize,
    write_deadline: u128,
    start: String,
    now: String,
    uptime: String,
    mem: u64,
    cores: usize,
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
    slow_consumers: u64,
    slow_consumer_stats: SlowConsumers,
    stale_connections: u64,
    subscriptions: usize,
    // What follows is our own.
    auth_errors: u64,
    refused_connections: u64,
    permission_violations: u64,
    slow_consumer_msgs: u64,
    pending_bytes: u64,
    lame_duck: bool,
}

#[derive(Serialize)]
struct SlowConsumers {
    clients: u64,
    routes: u8,
    gateways: u8,
    leafs: u8,
}

pub(super) fn varz(page: &Page) -> Varz {
    let (snapshot, usage) = (page.source.snapshot(), Usage::now());
    let options = page.source.options();
    let clients = page.about.clients.as_ref();
    // Over the whole life of the process, as ps has it, rounded to a tenth of a percent.
    let share = usage.cpu.as_secs_f64() / snapshot.uptime.as_secs_f64().max(0.001);
    Varz {
        server_id: snapshot.server_id,
        server_name: snapshot.server_name,
        version: NATS_VERSION,
        proto: 1,
        host: clients.map(|clients| clients.host.clone()).unwrap_or_default(),
        port: clients.map_or(0, |clients| clients.port),
        auth_required: options.auth.is_required(),
        max_connections: options.limits.max_connections,
        max_subscriptions: options.limits.max_subscriptions,
        ping_interval: options.ping_interval.as_nanos(),
        ping_max: options.max_pings_out,
        http_host: page.address.ip().to_string(),
        http_port: page.address.port(),
        auth_timeout: options.auth.timeout.as_secs_f64(),
        max_control_line: options.limits.max_control_line,
        max_payload: options.limits.max_payload,
        max_pending: options.limits.max_pending,
        write_deadline: options.write_deadline.as_nanos(),
        start: time(snapshot.started),
        now: now(),
        uptime: uptime(snapshot.uptime),
        mem: usage.resident,
        cores: thread::available_parallelism().map_or(1, usize::from),
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
        slow_consumers: snapshot.slow_consumers,
        slow_consumer_stats: SlowConsumers { clients: snapshot.slow_consumers, routes: 0, gateways: 0, leafs: 0 },
        stale_connections: snapshot.stale_connections,
        subscriptions: snapshot.subscriptions,
        auth_errors: snapshot.auth_errors,
        refused_connections: snapshot.refused_connections,
        permission_violations: snapshot.permission_violations,
        slow_consumer_msgs: snapshot.slow_consumer_msgs,
        pending_bytes: snapshot.pending_bytes,
        lame_duck: snapshot.lame_duck,
    }
}
