//! What nats-server knows and this server does not: refused by name, so that nobody believes it is in force, and with what to do instead.

/// A part of NATS that is not here.
struct Part {
    /// What it is, with its verb.
    what: &'static str,
    /// What to do.
    instead: &'static str,
    keys: &'static [&'static str],
    /// Flags without dashes; those with a star are beginnings.
    flags: &'static [&'static str],
}

const PARTS: &[Part] = &[
    Part {
        what: "JetStream is",
        instead: "remove it, or use nats-server for what is stored",
        keys: &["jetstream", "js", "store_dir", "storedir", "default_js_domain", "jetstream_cluster"],
        flags: &["jetstream", "js", "js_domain"],
    },
    Part {
        what: "asking for revoked certificates (OCSP) is",
        instead: "remove it and let certificates live shortly, or use nats-server",
        keys: &["ocsp", "ocsp_cache"],
        flags: &["help_tls"],
    },
    Part {
        what: "WebSocket is",
        instead: "remove it and connect over TCP, or use nats-server",
        keys: &["websocket", "ws"],
        flags: &["ws*", "websocket*"],
    },
    Part { what: "MQTT is", instead: "remove it, or use nats-server", keys: &["mqtt"], flags: &["mqtt*"] },
    Part {
        what: "a cluster of servers is",
        instead: "remove it to run one server alone, or use nats-server",
        keys: &["cluster", "gateway", "gateways", "leaf", "leafnodes", "leafnode", "routes"],
        flags: &["cluster*", "routes", "connect_retries", "no_advertise", "gateway*", "leaf*"],
    },
    Part {
        what: "accounts and JWTs are",
        instead: "use 'authorization' with users and their permissions, or use nats-server",
        keys: &[
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
            "accounts_resolver",
            "resolver_preload",
            "resolver_pinned_accounts",
            "resolver_maps",
            "trusted",
            "trusted_keys",
            "default_sentinel",
            "system_account",
            "system",
            "no_system_account",
            "no_system",
            "no_sys_acc",
            "always_enable_nonce",
        ],
        flags: &[],
    },
    Part {
        what: "the mapping of subjects is",
        instead: "remove it and publish to the subject that is meant, or use nats-server",
        keys: &["mappings", "maps"],
        flags: &[],
    },
    Part {
        what: "monitoring over HTTPS or below a path is",
        instead: "use 'http' on loopback behind a proxy, or use nats-server",
        keys: &["https", "https_port", "http_base_path"],
        flags: &["https_port", "ms", "http_base_path"],
    },
    Part {
        what: "the PROXY protocol is",
        instead: "remove it and see the addresses of the proxy, or use nats-server",
        keys: &["proxy_protocol", "proxies", "proxy_required"],
        flags: &[],
    },
    Part {
        what: "a syslog is",
        instead: "remove it, and log to standard error under a service manager or to 'log_file'",
        keys: &["syslog", "remote_syslog"],
        flags: &["syslog", "s", "remote_syslog", "r"],
    },
    Part {
        what: "rotating its own log is",
        instead: "use logrotate, and '--signal reopen' (SIGUSR1) after it",
        keys: &["log_size_limit", "log_max_num", "logfile_size_limit", "logfile_max_num"],
        flags: &["log_size_limit"],
    },
    Part {
        what: "choosing the zone of time stamps is",
        instead: "remove it, the log is in UTC",
        keys: &["logtime_utc"],
        flags: &["logtime_utc"],
    },
    Part {
        what: "tracing messages to the log is",
        instead: "remove it and use 'trace', which tells what connections do",
        keys: &["max_traced_msg_len", "trace_verbose", "trace_headers"],
        flags: &["max_traced_msg_len", "VV", "DVV"],
    },
    Part {
        what: "profiling over HTTP is",
        instead: "remove it and use a profiler of the system, such as perf",
        keys: &["prof_port", "prof_block_rate"],
        flags: &["profile", "prof_block_rate"],
    },
    Part {
        what: "this setting is",
        instead: "remove it to run without it, or use nats-server",
        keys: &[
            "connect_error_reports",
            "reconnect_error_reports",
            "server_tags",
            "server_metadata",
            "disable_sublist_cache",
            "no_sublist_cache",
            "no_header_support",
            "feature_flags",
            "max_sub_tokens",
            "max_subscription_tokens",
            "exceptions_timeout",
            "no_fast_producer_stall",
            "write_timeout",
        ],
        flags: &[],
    },
];

/// Why the key is refused, if it is one of nats-server's.
pub(super) fn key(name: &str) -> Option<String> {
    PARTS.iter().find(|part| part.keys.contains(&name)).map(|part| part.refuse(name))
}

/// Why the flag is refused, if it is one of nats-server's.
pub(super) fn flag(name: &str) -> Option<String> {
    let is_meant = |pattern: &&'static str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => *pattern == name,
    };
    PARTS.iter().find(|part| part.flags.iter().any(is_meant)).map(|part| part.refuse(&format!("-{name}")))
}

impl Part {
    fn refuse(&self, name: &str) -> String {
        format!("'{name}': {} not supported by this server (core NATS only): {}", self.what, self.instead)
    }
}
