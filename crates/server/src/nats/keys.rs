//! The keys of nats-server's configuration files that mean something here.

use crosstie_broker::{Permissions, Secret, User};

use crate::{
    settings::Settings,
    tree::{ConfigError, Entry, Node, Table, permissions, refuse_unknown, suggestion},
};

use super::{
    address::{self, Addresses},
    grammar::Document,
    refused,
    tls::StatedTls,
};

/// What a configuration file says besides [`Settings`].
#[derive(Clone, Debug, Default)]
pub(super) struct Stated {
    pub(super) addresses: Addresses,
    pub(super) debug: bool,
    pub(super) trace: bool,
    pub(super) tls: StatedTls,
}

type Read = fn(&Node, &mut Settings, &mut Stated) -> Result<(), ConfigError>;

/// Every key with its other names, and what it changes.
const KEYS: &[(&[&str], Read)] = &[
    (&["listen"], |node, _, stated| {
        let (host, port) = address(node)?;
        stated.addresses.host = host.or_else(|| stated.addresses.host.take());
        stated.addresses.port = port.or(stated.addresses.port);
        Ok(())
    }),
    (&["host", "net"], |node, _, stated| {
        stated.addresses.host = Some(node.text()?.to_owned());
        Ok(())
    }),
    (&["port"], |node, _, stated| {
        stated.addresses.port = port(node)?;
        Ok(())
    }),
    (&["http"], |node, _, stated| {
        (stated.addresses.http_host, stated.addresses.http_port) = address(node)?;
        Ok(())
    }),
    (&["http_port", "monitor_port"], |node, _, stated| {
        stated.addresses.http_port = port(node)?;
        Ok(())
    }),
    (&["client_advertise"], |node, settings, _| {
        settings.options.advertise_host = address(node)?.0;
        Ok(())
    }),
    (&["server_name"], |node, settings, _| {
        settings.options.server_name = Some(node.word()?);
        Ok(())
    }),
    (&["authorization"], |node, settings, _| authorization(node, settings)),
    (&["no_auth_user"], |node, settings, _| {
        settings.options.auth.no_auth_user = Some(node.word()?);
        Ok(())
    }),
    (&["max_payload"], |node, settings, _| {
        settings.options.limits.max_payload = node.size()?;
        Ok(())
    }),
    (&["max_connections", "max_conn"], |node, settings, _| {
        settings.options.limits.max_connections = node.count()?;
        Ok(())
    }),
    (&["max_closed_clients"], |node, settings, _| {
        settings.options.limits.max_closed = node.count()?;
        Ok(())
    }),
    (&["max_control_line"], |node, settings, _| {
        settings.options.limits.max_control_line = node.size()?;
        Ok(())
    }),
    (&["max_pending"], |node, settings, _| {
        let limits = &mut settings.options.limits;
        limits.max_pending = node.size()?;
        // nats-server has no bound on all of them together: at least one client may have what it is given here.
        limits.max_pending_total = limits.max_pending_total.max(limits.max_pending);
        Ok(())
    }),
    (&["max_subscriptions", "max_subs"], |node, settings, _| {
        // Below zero there is no limit, which is zero here.
        let limit = node.integer()?.max(0);
        settings.options.limits.max_subscriptions = usize::try_from(limit).expect("not negative");
        Ok(())
    }),
    (&["ping_interval"], |node, settings, _| {
        settings.options.ping_interval = node.seconds()?;
        Ok(())
    }),
    (&["ping_max"], |node, settings, _| {
        settings.options.max_pings_out = node.count()?;
        Ok(())
    }),
    (&["write_deadline"], |node, settings, _| {
        settings.options.write_deadline = node.seconds()?;
        Ok(())
    }),
    (&["lame_duck_duration"], |node, settings, _| {
        settings.options.lame_duck_duration = node.seconds()?;
        Ok(())
    }),
    (&["lame_duck_grace_period"], |node, settings, _| {
        settings.options.lame_duck_grace = node.seconds()?;
        Ok(())
    }),
    (&["tls"], |node, _, stated| stated.tls.block(node)),
    (&["allow_non_tls"], |node, _, stated| {
        stated.tls.allow_plain = node.bool()?;
        Ok(())
    }),
    (&["debug"], |node, _, stated| {
        stated.debug = node.bool()?;
        Ok(())
    }),
    (&["trace"], |node, _, stated| {
        stated.trace = node.bool()?;
        Ok(())
    }),
    (&["logtime"], |node, settings, _| {
        settings.log.time = node.bool()?;
        Ok(())
    }),
    (&["log_file", "logfile"], |node, settings, _| {
        settings.log.file = Some(node.path()?);
        Ok(())
    }),
    (&["pid_file", "pidfile"], |node, settings, _| {
        settings.pid_file = Some(node.path()?);
        Ok(())
    }),
    (&["ports_file_dir"], |node, settings, _| {
        settings.ports_file_dir = Some(node.path()?);
        Ok(())
    }),
];

/// Reads every key of `document`.
///
/// # Errors
///
/// The first key that is unknown, known to nats-server only, or has no fitting value.
pub(super) fn apply(document: &Document, settings: &mut Settings) -> Result<Stated, ConfigError> {
    let mut stated = Stated::default();
    for entry in &document.root.table()?.entries {
        let name = entry.key.to_ascii_lowercase();
        let known = KEYS.iter().find(|(names, _)| names.contains(&name.as_str()));
        match known {
            Some((_, read)) => read(&entry.node, settings, &mut stated)?,
            None if document.variables.contains(&entry.key) => {}
            None => return Err(unknown(entry, &name)),
        }
    }
    Ok(stated)
}

fn unknown(entry: &Entry, name: &str) -> ConfigError {
    let message = refused::key(name).unwrap_or_else(|| {
        let known = KEYS.iter().flat_map(|(names, _)| names.iter().copied());
        format!("unknown key '{}'{}", entry.key, suggestion(name, known))
    });
    ConfigError::new(&entry.place, message)
}

fn address(node: &Node) -> Result<(Option<String>, Option<u16>), ConfigError> {
    address::host_and_port(&node.word()?).map_err(|message| node.refuse(message))
}

fn port(node: &Node) -> Result<Option<u16>, ConfigError> {
    address::port(node.integer()?).map_err(|message| node.refuse(message))
}

const AUTHORIZATION: &[&str] = &[
    "user",
    "username",
    "password",
    "pass",
    "token",
    "timeout",
    "users",
    "permissions",
    "default_permissions",
    "default_permission",
];
const USER: &[&str] = &["user", "username", "password", "pass", "permissions", "permission", "authorization"];
/// Keys of users and authorization blocks that need parts of NATS which are not here.
const ELSEWHERE: &[&str] = &[
    "nkey",
    "account",
    "allowed_connection_types",
    "connection_types",
    "clients",
    "auth_callout",
    "auth_hook",
    "proxy_required",
    "timeout_jwt",
];

fn check_keys(table: &Table, known: &[&str], inside: &str) -> Result<(), ConfigError> {
    if let Some(entry) = table.entries.iter().find(|entry| ELSEWHERE.contains(&entry.key.as_str())) {
        let message = format!(
            "'{}' in {inside} is not supported by this server (core NATS only): remove it, or use nats-server",
            entry.key
        );
        return Err(ConfigError::new(&entry.place, message));
    }
    refuse_unknown(table, known, inside)
}

fn either<'a>(table: &'a Table, names: [&str; 2]) -> Option<&'a Node> {
    names.iter().find_map(|name| table.get(name))
}

fn authorization(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    let table = node.table()?;
    check_keys(table, AUTHORIZATION, "authorization")?;
    let auth = &mut settings.options.auth;
    if let Some(timeout) = table.get("timeout") {
        auth.timeout = timeout.seconds()?;
    }
    let default = either(table, ["default_permissions", "default_permission"])
        .or_else(|| table.get("permissions"))
        .map(permissions)
        .transpose()?
        .unwrap_or_default();
    let single = either(table, ["user", "username"]);
    let (token, users) = (table.get("token"), table.get("users"));
    if let (Some(_), Some(other)) = (users, token.or(single)) {
        return Err(other.refuse("expected either 'users' or a single user or token in authorization, found both"));
    }
    if let (Some(token), Some(_)) = (token, single) {
        return Err(token.refuse("expected either a token or a user in authorization, found both"));
    }
    auth.users.clear();
    auth.token = token.map(Node::word).transpose()?.map(Secret::new);
    if let Some(name) = single {
        let password = either(table, ["password", "pass"])
            .ok_or_else(|| name.refuse("expected a 'password' with this user, found none"))?;
        auth.users.push(User { name: name.word()?, password: Secret::new(password.word()?), permissions: default });
        return Ok(());
    }
    for item in users.map(Node::list).transpose()?.unwrap_or_default() {
        let user = user(item, &default)?;
        if auth.users.iter().any(|other| other.name == user.name) {
            return Err(item.refuse(format!("user '{}' is there twice", user.name)));
        }
        auth.users.push(user);
    }
    Ok(())
}

fn user(node: &Node, default: &Permissions) -> Result<User, ConfigError> {
    let table = node.table()?;
    check_keys(table, USER, "a user")?;
    let name = either(table, ["user", "username"]).ok_or_else(|| node.refuse("expected a 'user' here, found none"))?;
    let password = either(table, ["password", "pass"])
        .ok_or_else(|| name.refuse("expected a 'password' with this user, found none"))?;
    let own = either(table, ["permissions", "permission"]).or_else(|| table.get("authorization"));
    Ok(User {
        name: name.word()?,
        password: Secret::new(password.word()?),
        permissions: own.map_or_else(|| Ok(default.clone()), permissions)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crosstie_broker::{Responses, Rule};

    use super::*;
    use crate::nats::grammar;

    fn read(text: &str) -> Result<(Settings, Stated), ConfigError> {
        let mut settings = Settings::new();
        let document = grammar::parse("test.conf", text, None, &|_| None)?;
        let stated = apply(&document, &mut settings)?;
        Ok((settings, stated))
    }

    fn rule(subject: &str, queue: Option<&str>) -> Rule {
        Rule { subject: subject.parse().unwrap(), queue: queue.map(|queue| queue.parse().unwrap()) }
    }

    #[test]
    fn every_key_reaches_its_setting() {
        let (settings, stated) = read(
            "listen: localhost:-1\nhttp: 8222\nserver_name: s1\nmax_payload: 2MB\nmax_connections: 10\nmax_control_line: 512\n\
             max_pending: 256MB\nmax_subs: -1\nping_interval: 20s\nping_max: 3\nwrite_deadline: \"3s\"\nlame_duck_duration: 1m\n\
             lame_duck_grace_period: 5\nDebug: true\ntrace: off\nlogtime: false\nlogfile: '/tmp/l'\npidfile: /tmp/p\nports_file_dir: /tmp\n\
             client_advertise: there:1\n",
        )
        .unwrap();
        let options = &settings.options;
        assert_eq!(stated.addresses.listen().to_string(), "tcp://localhost:0");
        assert_eq!(stated.addresses.http().unwrap().to_string(), "127.0.0.1:8222");
        assert_eq!(options.server_name.as_deref(), Some("s1"));
        assert_eq!(options.advertise_host.as_deref(), Some("there"));
        let limits = &options.limits;
        assert_eq!((limits.max_payload, limits.max_connections, limits.max_control_line), (2 << 20, 10, 512));
        assert_eq!((limits.max_pending, limits.max_pending_total, limits.max_subscriptions), (256 << 20, 256 << 20, 0));
        assert_eq!((options.ping_interval, options.max_pings_out), (Duration::from_secs(20), 3));
        assert_eq!((options.write_deadline, options.lame_duck_grace), (Duration::from_secs(3), Duration::from_secs(5)));
        assert!(stated.debug && !stated.trace && !settings.log.time);
        assert_eq!(settings.pid_file.unwrap().to_str(), Some("/tmp/p"));
    }

    #[test]
    fn users_take_the_default_permissions_unless_they_have_their_own() {
        let (settings, _) = read(
            "authorization { timeout: 0.5\n default_permissions { publish: \"d.>\", subscribe { allow: [\"a\", \"b q.*\"], deny: c } }\n\
             users = [ {user: a, password: 1}, {username: b, pass: $2a$x, permissions: {allow_responses: {max: 5, expires: \"1m\"}}} ] }",
        )
        .unwrap();
        let auth = &settings.options.auth;
        assert_eq!(auth.timeout, Duration::from_millis(500));
        assert_eq!(auth.users[0].password.expose(), "1");
        let given = &auth.users[0].permissions;
        assert_eq!(given.publish.allow, Some(vec![rule("d.>", None)]));
        assert_eq!(given.subscribe.allow, Some(vec![rule("a", None), rule("b", Some("q.*"))]));
        assert_eq!(given.subscribe.deny, vec![rule("c", None)]);
        let own = &auth.users[1].permissions;
        assert_eq!(own.responses, Some(Responses { max: Some(5), expires: Some(Duration::from_secs(60)) }));
        assert_eq!(own.publish.allow, Some(vec![]), "leave to answer is leave to do nothing else");
    }

    #[test]
    fn what_is_not_here_is_refused_by_name_and_line() {
        for (text, line, part) in [
            ("port: 1\njetstream: {store_dir: x}", 2, "'jetstream': JetStream is not supported"),
            ("jetstream: enabled", 1, "'jetstream'"),
            ("\n\ntls { cert_fil: a }", 3, "unknown key 'cert_fil'"),
            ("tls {\n verify_and_map: true }", 2, "'verify_and_map' in tls is not supported"),
            ("tls { min_version: 1.1 }", 1, "nothing older than 1.3"),
            ("cluster { }", 1, "'cluster'"),
            ("accounts { A: {} }", 1, "'accounts'"),
            ("authorization {\n users: [{nkey: U}] }", 2, "'nkey' in a user"),
            ("max_paylod: 1", 1, "unknown key 'max_paylod': did you mean 'max_payload'?"),
            ("max_payload: {}", 1, "expected a size like '64MiB', found a table"),
            ("port: 70000", 1, "expected a port from 1 to 65535"),
            ("authorization { token: a, users: [] }", 1, "found both"),
            ("authorization { user: a }", 1, "expected a 'password'"),
            ("authorization { users: [{user: a, password: b, permissions: {publish: \"a..b\"}}] }", 1, "not a subject"),
            ("authorization { users: [{user: a, password: b}, {user: a, password: c}] }", 1, "there twice"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.line(), Some(line), "{text}: {error}");
            assert!(error.message().contains(part), "{text}: {error}");
        }
    }

    /// Every key that nats-server 2.15.1 takes at the top of a file, in `authorization`, and in a user. Source: its server/opts.go.
    const THEIRS: [&[&str]; 3] = [
        &[
            "listen",
            "client_advertise",
            "port",
            "server_name",
            "host",
            "net",
            "debug",
            "trace",
            "trace_verbose",
            "trace_headers",
            "logtime",
            "logtime_utc",
            "mappings",
            "maps",
            "disable_sublist_cache",
            "no_sublist_cache",
            "accounts",
            "default_sentinel",
            "authorization",
            "http",
            "https",
            "http_port",
            "monitor_port",
            "https_port",
            "http_base_path",
            "cluster",
            "gateway",
            "leaf",
            "leafnodes",
            "store_dir",
            "storedir",
            "jetstream",
            "logfile",
            "log_file",
            "logfile_size_limit",
            "log_size_limit",
            "logfile_max_num",
            "log_max_num",
            "syslog",
            "remote_syslog",
            "pidfile",
            "pid_file",
            "ports_file_dir",
            "prof_port",
            "prof_block_rate",
            "max_control_line",
            "max_payload",
            "max_pending",
            "proxy_protocol",
            "max_connections",
            "max_conn",
            "max_traced_msg_len",
            "max_subscriptions",
            "max_subs",
            "max_sub_tokens",
            "max_subscription_tokens",
            "ping_interval",
            "ping_max",
            "tls",
            "ocsp",
            "allow_non_tls",
            "write_deadline",
            "write_timeout",
            "lame_duck_duration",
            "lame_duck_grace_period",
            "operator",
            "operators",
            "roots",
            "root",
            "root_operators",
            "root_operator",
            "resolver",
            "account_resolver",
            "accounts_resolver",
            "resolver_tls",
            "resolver_preload",
            "resolver_pinned_accounts",
            "no_auth_user",
            "system_account",
            "system",
            "no_system_account",
            "no_system",
            "no_sys_acc",
            "no_header_support",
            "trusted",
            "trusted_keys",
            "connect_error_reports",
            "reconnect_error_reports",
            "websocket",
            "ws",
            "mqtt",
            "server_tags",
            "server_metadata",
            "feature_flags",
            "default_js_domain",
            "ocsp_cache",
            "no_fast_producer_stall",
            "max_closed_clients",
            "proxies",
        ],
        &[
            "user",
            "username",
            "pass",
            "password",
            "token",
            "timeout",
            "users",
            "default_permission",
            "default_permissions",
            "permissions",
            "auth_callout",
            "auth_hook",
            "proxy_required",
        ],
        &[
            "nkey",
            "user",
            "username",
            "pass",
            "password",
            "permission",
            "permissions",
            "authorization",
            "allowed_connection_types",
            "connection_types",
            "clients",
            "proxy_required",
        ],
    ];

    #[test]
    fn every_key_of_nats_server_is_taken_or_refused_with_what_to_do() {
        let mut refused = 0;
        for (keys, text) in
            THEIRS.iter().zip(["KEY: []", "authorization { KEY: [] }", "authorization { users: [{KEY: []}] }"])
        {
            for key in *keys {
                let text = text.replace("KEY", key);
                let error = read(&text).err().map_or_else(String::new, |error| error.message().to_owned());
                assert!(!error.starts_with("unknown key"), "{text}: {error}");
                if error.starts_with(&format!("'{key}'")) {
                    let (_, instead) = error.rsplit_once(": ").expect("a sentence about what to do");
                    assert!(instead.contains("remove") || instead.contains("use"), "{text}: {error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 60, "only {refused} were refused by name");
        let error = read("max_paylaods: 1").expect_err("a key of nobody");
        assert!(error.message().starts_with("unknown key"), "the control: {error}");
    }

    #[test]
    fn a_key_used_as_a_variable_needs_no_other_meaning() {
        let (settings, _) = read("LIMIT: 77\nmax_connections: $LIMIT").unwrap();
        assert_eq!(settings.options.limits.max_connections, 77);
        assert!(read("LIMIT: 77\nmax_connections: 1").is_err());
    }
}
