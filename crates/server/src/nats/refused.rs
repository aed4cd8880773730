//! What nats-server knows and this server does not: refused by name, so that nobody believes it is in force.

/// Keys of a configuration file, with the part of NATS they belong to.
const KEYS: &[(&str, &[&str])] = &[
    ("JetStream", &["jetstream", "js", "store_dir", "default_js_domain", "jetstream_cluster"]),
    ("TLS", &["tls", "allow_non_tls", "ocsp", "ocsp_cache", "default_sentinel", "tls_handshake_first"]),
    ("WebSocket", &["websocket", "ws"]),
    ("MQTT", &["mqtt"]),
    (
        "clusters",
        &["cluster", "gateway", "gateways", "leaf", "leafnodes", "leafnode", "routes", "no_fast_producer_stall"],
    ),
    (
        "accounts and JWTs",
        &[
            "accounts",
            "operator",
            "operators",
            "roots",
            "root",
            "root_operators",
            "root_operator",
            "resolver",
            "resolver_tls",
            "account_resolver",
            "account_resolvers",
            "resolver_preload",
            "resolver_pinned_accounts",
            "resolver_maps",
            "trusted",
            "trusted_keys",
            "system_account",
            "system",
            "no_system_account",
            "no_system",
            "no_sys_acc",
            "always_enable_nonce",
        ],
    ),
    ("subject mappings", &["mappings", "maps"]),
    ("HTTPS monitoring", &["https", "https_port", "http_base_path"]),
    ("proxies", &["proxy_protocol", "proxies", "proxy_required"]),
    (
        "this setting",
        &[
            "max_traced_msg_len",
            "connect_error_reports",
            "reconnect_error_reports",
            "prof_port",
            "prof_block_rate",
            "server_tags",
            "server_metadata",
            "disable_sublist_cache",
            "log_size_limit",
            "log_max_num",
            "logfile_size_limit",
            "logfile_max_num",
            "syslog",
            "remote_syslog",
            "no_header_support",
            "max_closed_clients",
            "trace_verbose",
            "feature_flags",
            "trace_headers",
            "logtime_utc",
            "max_sub_tokens",
            "max_subscription_tokens",
            "exceptions_timeout",
        ],
    ),
];

/// Flags, or their beginnings, with the part of NATS they belong to.
const FLAGS: &[(&str, &str)] = &[
    ("jetstream", "JetStream"),
    ("js", "JetStream"),
    ("js_domain", "JetStream"),
    ("tls*", "TLS"),
    ("cluster*", "clusters"),
    ("routes", "clusters"),
    ("connect_retries", "clusters"),
    ("no_advertise", "clusters"),
    ("https_port", "HTTPS monitoring"),
    ("ms", "HTTPS monitoring"),
    ("http_base_path", "HTTPS monitoring"),
    ("syslog", "syslog"),
    ("s", "syslog"),
    ("remote_syslog", "syslog"),
    ("r", "syslog"),
    ("log_size_limit", "rotating its own log (use logrotate and SIGUSR1)"),
    ("profile", "profiling over HTTP"),
    ("prof_block_rate", "profiling over HTTP"),
    ("max_traced_msg_len", "tracing messages"),
    ("VV", "tracing messages"),
    ("DVV", "tracing messages"),
];

/// Why the key is refused, if it is one of nats-server's.
pub(super) fn key(name: &str) -> Option<String> {
    KEYS.iter().find(|(_, keys)| keys.contains(&name)).map(|(part, _)| {
        format!("'{name}': {part} is not supported by this server (core NATS only): remove the key, or use nats-server")
    })
}

/// Why the flag is refused, if it is one of nats-server's.
pub(super) fn flag(name: &str) -> Option<String> {
    FLAGS
        .iter()
        .find(|(pattern, _)| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => *pattern == name,
        })
        .map(|(_, part)| format!("'-{name}': {part} is not supported by this server (core NATS only): remove the flag, or use nats-server"))
}
