//! `/metrics`: the server as a whole in Prometheus's text format. Nothing is told per connection or subject, so the number of series
//! is fixed.

use std::fmt::Write as _;

use crosstie_broker::{NATS_VERSION, Snapshot};

use super::usage::Usage;

pub(super) fn metrics(snapshot: &Snapshot) -> String {
    let usage = Usage::now();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "# HELP crosstie_info What runs here.\n# TYPE crosstie_info gauge\ncrosstie_info{{version=\"{}\",nats_version=\"{NATS_VERSION}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    let rows: [(&str, &str, &str, f64); 27] = [
        ("crosstie_up_seconds", "gauge", "Time since the start.", snapshot.uptime.as_secs_f64()),
        ("crosstie_lame_duck", "gauge", "1 once lame duck mode has begun.", f64::from(u8::from(snapshot.lame_duck))),
        ("crosstie_connections", "gauge", "Connections open now.", snapshot.connections as f64),
        ("crosstie_connections_total", "counter", "Connections accepted.", snapshot.total_connections as f64),
        (
            "crosstie_connections_refused_total",
            "counter",
            "Connections refused by a limit.",
            snapshot.refused_connections as f64,
        ),
        (
            "crosstie_connections_stale_total",
            "counter",
            "Clients cut off that answered no PING.",
            snapshot.stale_connections as f64,
        ),
        ("crosstie_auth_errors_total", "counter", "Failed authentications.", snapshot.auth_errors as f64),
        (
            "crosstie_permission_violations_total",
            "counter",
            "Publishes and subscriptions refused by a permission.",
            snapshot.permission_violations as f64,
        ),
        ("crosstie_subscriptions", "gauge", "Subscriptions now.", snapshot.subscriptions as f64),
        ("crosstie_in_messages_total", "counter", "Messages from clients.", snapshot.in_msgs as f64),
        ("crosstie_in_bytes_total", "counter", "Payload bytes from clients.", snapshot.in_bytes as f64),
        ("crosstie_out_messages_total", "counter", "Messages to clients.", snapshot.out_msgs as f64),
        ("crosstie_out_bytes_total", "counter", "Payload bytes to clients.", snapshot.out_bytes as f64),
        ("crosstie_pending_bytes", "gauge", "Bytes that wait for clients now.", snapshot.pending_bytes as f64),
        (
            "crosstie_slow_consumers_total",
            "counter",
            "Clients cut off because they did not keep up.",
            snapshot.slow_consumers as f64,
        ),
        (
            "crosstie_slow_consumer_messages_total",
            "counter",
            "Messages lost with slow consumers.",
            snapshot.slow_consumer_msgs as f64,
        ),
        (
            "crosstie_held_input_bytes",
            "gauge",
            "Bytes held of operations whose end has not come.",
            snapshot.held_input_bytes as f64,
        ),
        ("crosstie_remembered_bytes", "gauge", "Bytes that subscriptions take up.", snapshot.remembered_bytes as f64),
        (
            "crosstie_held_input_evictions_total",
            "counter",
            "Clients cut off for operations they did not end.",
            snapshot.held_input_evictions as f64,
        ),
        (
            "crosstie_subscription_evictions_total",
            "counter",
            "Clients cut off for subscribing to so much that others could not.",
            snapshot.subscription_evictions as f64,
        ),
        ("crosstie_match_cache_entries", "gauge", "Subjects in the match cache.", snapshot.cache.entries as f64),
        (
            "crosstie_match_cache_hits_total",
            "counter",
            "Look-ups the match cache answered.",
            snapshot.cache.hits as f64,
        ),
        ("crosstie_match_cache_misses_total", "counter", "Look-ups it could not answer.", snapshot.cache.misses as f64),
        (
            "process_start_time_seconds",
            "gauge",
            "When it started, since 1970.",
            snapshot.started.unix_nanos() as f64 / 1e9,
        ),
        ("process_cpu_seconds_total", "counter", "Processor time of all threads.", usage.cpu.as_secs_f64()),
        ("process_resident_memory_bytes", "gauge", "Resident memory.", usage.resident as f64),
        ("process_open_fds", "gauge", "Open descriptors.", usage.descriptors as f64),
    ];
    for (name, kind, help, value) in rows {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    text
}
