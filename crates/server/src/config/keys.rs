//! The table of all keys: what each is called, what it means, how it is read and how it is shown.
//!
//! The file, the flags, the environment variables, `--print-config` and `docs/configuration.md` all come from it.

use crosstie_core::{Endpoint, HostPort, Target};

use super::{quote::quote, secrets, tls, users};
use crate::{
    process,
    settings::{LogFormat, Settings},
    tree::{ConfigError, Node, duration_text},
};

type Read = fn(&Node, &mut Settings) -> Result<(), ConfigError>;
type Show = fn(&Settings) -> Option<String>;

/// One key of the configuration.
pub struct Key {
    /// Its name, with the table it belongs to: `limits.max_payload`.
    pub path: &'static str,
    /// What its value looks like.
    pub form: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// True if it may not be a flag, because other users of the machine see flags.
    pub is_secret: bool,
    /// True if a reload (SIGHUP) puts a new value in force without a restart.
    pub reloads: bool,
    pub(super) read: Read,
    /// The value as TOML; `None` if it is not set.
    pub(super) show: Show,
}

impl Key {
    /// The environment variable: `CROSSTIE_LIMITS_MAX_PAYLOAD`.
    pub fn variable(&self) -> String {
        format!("CROSSTIE_{}", self.path.replace('.', "_").to_uppercase())
    }

    /// The long flag without dashes, if there is one: `limits-max-payload`.
    pub fn flag(&self) -> Option<String> {
        (!self.is_secret && self.form != users::FORM).then(|| self.path.replace(['.', '_'], "-"))
    }

    /// The value that holds where nothing else is said, as a flag takes it; `None` if that is nothing.
    pub fn default_word(&self) -> Option<String> {
        let shown = self.shown(&Settings::default())?;
        Some(shown.trim_matches(['[', ']']).trim_matches('"').to_owned())
    }

    /// The value in `settings` as TOML, secrets hidden.
    pub(super) fn shown(&self, settings: &Settings) -> Option<String> {
        let shown = (self.show)(settings)?;
        Some(if self.is_secret { secrets::hidden() } else { shown })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The keys whose values differ between `one` and `other`.
pub(crate) fn differing(one: &Settings, other: &Settings) -> Vec<&'static Key> {
    KEYS.iter()
        .filter(|key| (key.show)(one) != (key.show)(other) || (key.path == "auth.users" && users::differ(one, other)))
        .collect()
}

/// A key whose new value a reload puts in force.
macro_rules! live {
    () => {
        true
    };
}

/// A key whose new value waits for the next start.
macro_rules! fixed {
    () => {
        false
    };
}

/// A row of the table: the value at a path of [`Settings`], by a method of [`Node`] and a way to show it.
macro_rules! key {
    ($when:ident, $path:literal, $form:expr, $field:ident $(. $rest:ident)*, $read:ident, $show:expr, $doc:literal) => {
        Key {
            path: $path,
            form: $form,
            doc: $doc,
            is_secret: false,
            reloads: $when!(),
            read: |node, settings| {
                settings.$field$(.$rest)* = node.$read()?;
                Ok(())
            },
            show: |settings| $show(&settings.$field$(.$rest)*),
        }
    };
}

const TIME: &str = "time with unit, like 250ms or 2m";
const SIZE: &str = "size, like 64MiB";
const NUMBER: &str = "number";
const TEXT: &str = "text";
const PATH: &str = "path";
const TRUTH: &str = "true or false";

/// Every key there is, in the order in which they are shown: those without a table first.
pub const KEYS: &[Key] = &[
    Key {
        path: "listen",
        form: "list of tcp://host:port and unix:/path",
        doc: "Where clients connect. Port 0 is any free port. Beyond loopback, clients must have to authenticate, or `insecure` be true.",
        is_secret: false,
        reloads: false,
        read: listen,
        show: |settings| {
            let items: Vec<_> = settings.listen.iter().map(|target| quote(&target.to_string())).collect();
            Some(format!("[{}]", items.join(", ")))
        },
    },
    Key {
        path: "http",
        form: "host:port",
        doc: "Where monitoring answers over HTTP: /healthz, /varz, /connz, /subsz, /metrics. It asks nobody who they are, so beyond loopback \
              it needs `insecure`.",
        is_secret: false,
        reloads: false,
        read: |node, settings| {
            settings.http = Some(host_port(node)?);
            Ok(())
        },
        show: |settings| settings.http.as_ref().map(|http| quote(&http.to_string())),
    },
    key!(
        fixed,
        "insecure",
        TRUTH,
        options.insecure,
        bool,
        plain,
        "Listen beyond loopback although nobody has to authenticate."
    ),
    key!(
        fixed,
        "server_name",
        TEXT,
        options.server_name,
        optional_word,
        optional_text,
        "The name that clients and monitoring see; the server's id unless set."
    ),
    key!(
        fixed,
        "advertise_host",
        TEXT,
        options.advertise_host,
        optional_word,
        optional_text,
        "The host that clients are told; the first listener's unless set."
    ),
    key!(
        fixed,
        "reactors",
        NUMBER,
        options.reactors,
        count,
        plain,
        "Pairs of threads that share the connections, one of each pair for busy clients; 0 is one pair per core."
    ),
    key!(
        fixed,
        "spin",
        TIME,
        options.spin,
        duration,
        time,
        "How long a thread may wait awake for the next message, which spares it the waking of a core and costs up to a core; at most 1ms, 0 is not at all."
    ),
    key!(
        live,
        "ping_interval",
        TIME,
        options.ping_interval,
        duration,
        time,
        "How long a client may be quiet before it is sent a PING."
    ),
    key!(
        live,
        "max_pings_out",
        NUMBER,
        options.max_pings_out,
        count,
        plain,
        "How many PINGs may stay unanswered before a client is cut off as stale."
    ),
    key!(
        live,
        "write_deadline",
        TIME,
        options.write_deadline,
        duration,
        time,
        "How long a client may take no byte of what waits for it before it is cut off as slow."
    ),
    key!(
        live,
        "lame_duck_duration",
        TIME,
        options.lame_duck_duration,
        duration,
        time,
        "Over how long lame duck mode (SIGUSR2) spreads the closing of connections."
    ),
    key!(
        live,
        "lame_duck_grace",
        TIME,
        options.lame_duck_grace,
        duration,
        time,
        "How long lame duck mode waits before it closes the first connection."
    ),
    key!(
        fixed,
        "pid_file",
        PATH,
        pid_file,
        optional_path,
        optional_path_text,
        "The file that holds the process id while the server runs."
    ),
    key!(
        fixed,
        "ports_file_dir",
        PATH,
        ports_file_dir,
        optional_path,
        optional_path_text,
        "The folder of the ports file, <executable>_<pid>.ports: JSON that says where the server listens, written once it does."
    ),
    key!(
        live,
        "limits.memory",
        SIZE,
        options.limits.memory,
        size,
        bytes,
        "Memory that the whole server is to fit in, whatever its clients do. The keys below that say so are shares of it unless set; \
         whoever sets one of them has to add up the shares anew."
    ),
    key!(
        live,
        "limits.max_connections",
        NUMBER,
        options.limits.max_connections,
        count,
        plain,
        "Connections at a time; one for each 16 KiB of `limits.memory` unless set, at most 65536. Beyond it the oldest of those that never \
         sent CONNECT makes room; if there is none, the newcomer is refused."
    ),
    key!(
        live,
        "limits.max_subscriptions",
        NUMBER,
        options.limits.max_subscriptions,
        count,
        plain,
        "Subscriptions of one connection; 0 is no limit of its own, and `limits.max_remembered_total` holds."
    ),
    key!(
        live,
        "limits.max_same_subscriptions",
        NUMBER,
        options.limits.max_same_subscriptions,
        count,
        plain,
        "Subscriptions of one connection to the same pattern, each of which a message is sent to; 0 is no limit."
    ),
    key!(
        live,
        "limits.max_payload",
        SIZE,
        options.limits.max_payload,
        size,
        bytes,
        "Bytes of a payload, headers included. What all clients have sent of payloads that are not whole is bounded by \
         `limits.max_held_input_total`."
    ),
    key!(
        live,
        "limits.max_control_line",
        SIZE,
        options.limits.max_control_line,
        size,
        bytes,
        "Bytes of a line of the protocol."
    ),
    key!(
        live,
        "limits.max_pending",
        SIZE,
        options.limits.max_pending,
        size,
        bytes,
        "Bytes that may wait for one slow client before it is cut off; 64 MiB unless set, or all of `limits.max_pending_total` if that \
         is less."
    ),
    key!(
        live,
        "limits.max_pending_total",
        SIZE,
        options.limits.max_pending_total,
        size,
        bytes,
        "Bytes that may wait for all clients together; a quarter of `limits.memory` unless set. Beyond it those are cut off first for whom \
         the most has waited the longest."
    ),
    key!(
        live,
        "limits.max_held_input_total",
        SIZE,
        options.limits.max_held_input_total,
        size,
        bytes,
        "Bytes that may be held for all operations whose end has not come; an eighth of `limits.memory` unless set. Beyond it those are cut \
         off first who have held the most for the longest."
    ),
    key!(
        live,
        "limits.max_remembered_total",
        SIZE,
        options.limits.max_remembered_total,
        size,
        bytes,
        "Bytes that all subscriptions may take up; three sixteenths of `limits.memory` unless set, about 0.7 KiB each. A client may take what \
         is still free and no more than that; a client with next to none finds room at the cost of whoever took the most."
    ),
    key!(
        live,
        "limits.max_unauthenticated_bytes",
        SIZE,
        options.limits.max_unauthenticated_bytes,
        size,
        bytes,
        "Bytes a client may send before it has authenticated."
    ),
    key!(
        live,
        "limits.max_unauthenticated",
        NUMBER,
        options.limits.max_unauthenticated,
        count,
        plain,
        "Connections that may be unauthenticated at a time."
    ),
    key!(
        live,
        "limits.max_closed",
        NUMBER,
        options.limits.max_closed,
        count,
        plain,
        "Connections that are remembered after their end, for monitoring; 4 MiB of them at most."
    ),
    Key {
        path: "auth.token",
        form: TEXT,
        doc: "A token, or its bcrypt hash, that lets in whoever knows it.",
        is_secret: true,
        reloads: true,
        read: |node, settings| secrets::set_token(node, &node.word()?, settings),
        show: |settings| settings.options.auth.token.as_ref().map(|token| quote(token.expose())),
    },
    Key {
        path: "auth.token_file",
        form: PATH,
        doc: "A file whose first line is the token.",
        is_secret: false,
        reloads: true,
        read: |node, settings| secrets::set_token(node, &secrets::first_line(node)?, settings),
        show: |_| None,
    },
    key!(
        live,
        "auth.timeout",
        TIME,
        options.auth.timeout,
        duration,
        time,
        "How long a client may take to authenticate."
    ),
    key!(
        live,
        "auth.no_auth_user",
        TEXT,
        options.auth.no_auth_user,
        optional_word,
        optional_text,
        "The user that a client without credentials is taken for."
    ),
    Key {
        path: "auth.users",
        form: users::FORM,
        doc: "The users. Each has `name`, `password` (or its bcrypt hash) or `password_file`, and `permissions`: `publish` and `subscribe`, \
              each a subject, a list of them, or a table with `allow` and `deny` (deny wins; `\"subject queue\"` names a queue group); and \
              `allow_responses`, true or a table with `max` and `expires`, which grants answers to requests and nothing else.",
        is_secret: false,
        reloads: true,
        read: users::read,
        show: users::show,
    },
    Key {
        path: "tls.cert",
        form: PATH,
        doc: "The certificate that those are shown who come over the network, PEM, with those between it and its authority after it. With it, TLS is spoken; \
              Unix sockets need none. A reload (SIGHUP) reads it again, changed or not, as it does the other files; connections that are there go on.",
        is_secret: false,
        reloads: true,
        read: tls::cert,
        show: tls::show_cert,
    },
    Key {
        path: "tls.key",
        form: PATH,
        doc: "The private key of the certificate.",
        is_secret: false,
        reloads: true,
        read: tls::key,
        show: tls::show_key,
    },
    Key {
        path: "tls.ca",
        form: PATH,
        doc: "The authorities that clients' certificates must be signed by. With it, nobody gets in without one (mutual TLS).",
        is_secret: false,
        reloads: true,
        read: tls::ca,
        show: tls::show_ca,
    },
    Key {
        path: "tls.allow_plain",
        form: TRUTH,
        doc: "Whether those who come over the network may also speak in the clear.",
        is_secret: false,
        reloads: true,
        read: tls::allow_plain,
        show: tls::show_allow_plain,
    },
    Key {
        path: "tls.handshake_first",
        form: "true, false, auto, or a time",
        doc: "Whether the handshake comes before INFO, so that nothing is said in the clear: true; false (unless set): after it; a time: before it if it \
              begins within that, which `auto` makes 50ms.",
        is_secret: false,
        reloads: true,
        read: tls::handshake_first,
        show: tls::show_handshake_first,
    },
    Key {
        path: "tls.timeout",
        form: TIME,
        doc: "How long a client may take from being accepted to the end of its handshake; 2s unless set.",
        is_secret: false,
        reloads: true,
        read: tls::timeout,
        show: tls::show_timeout,
    },
    Key {
        path: "log.level",
        form: "error, warn, info, debug, trace, or directives",
        doc: "Which lines are logged; directives like `info,crosstie_broker=debug` choose by part.",
        is_secret: false,
        reloads: true,
        read: |node, settings| {
            let level = node.text()?;
            if !process::valid_level(level) {
                return Err(node
                    .refuse(format!("expected a level like 'info' or 'info,crosstie_broker=debug', found '{level}'")));
            }
            level.clone_into(&mut settings.log.level);
            Ok(())
        },
        show: |settings| Some(quote(&settings.log.level)),
    },
    Key {
        path: "log.format",
        form: "text, json, or nats",
        doc: "How a line looks: for people, one JSON object each, or as nats-server writes it.",
        is_secret: false,
        reloads: false,
        read: |node, settings| {
            settings.log.format = match node.text()? {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                "nats" => LogFormat::Nats,
                other => return Err(node.refuse(format!("expected 'text', 'json' or 'nats', found '{other}'"))),
            };
            Ok(())
        },
        show: |settings| {
            Some(quote(match settings.log.format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
                LogFormat::Nats => "nats",
            }))
        },
    },
    key!(
        fixed,
        "log.file",
        PATH,
        log.file,
        optional_path,
        optional_path_text,
        "The file that lines are added to; standard error unless set. SIGUSR1 opens it anew."
    ),
    key!(fixed, "log.time", TRUTH, log.time, bool, plain, "Whether a line says when it was written."),
];

impl Node {
    fn optional_word(&self) -> Result<Option<String>, ConfigError> {
        match self.word()?.as_str() {
            "" => Err(self.refuse("expected a name, found an empty text")),
            word => Ok(Some(word.to_owned())),
        }
    }

    fn optional_path(&self) -> Result<Option<std::path::PathBuf>, ConfigError> {
        self.path().map(Some)
    }
}

fn listen(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    let mut targets = Vec::new();
    for item in node.one_or_many() {
        // A flag or variable holds the whole list in one text.
        for text in item.text()?.split(',').map(str::trim) {
            let endpoint = listener(text).map_err(|error| {
                let is_other = error.is_about_scheme();
                item.refuse(if is_other { not_a_listener(error.shown()) } else { error.to_string() })
            })?;
            match endpoint.target() {
                target @ (Target::Tcp { .. } | Target::Unix { .. }) => targets.push(target.clone()),
                other => return Err(item.refuse(not_a_listener(&other.to_string()))),
            }
        }
    }
    if targets.is_empty() {
        return Err(node.refuse("expected at least one endpoint to listen at, found none"));
    }
    settings.listen = targets;
    Ok(())
}

fn not_a_listener(found: &str) -> String {
    format!("expected tcp://host:port or unix:/path, found '{found}'")
}

/// Where to listen; a text without a scheme is `host:port` over TCP.
fn listener(text: &str) -> Result<Endpoint, crosstie_core::EndpointError> {
    text.parse().or_else(|error| {
        let is_bare = text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) && !text.contains('/');
        let tcp = is_bare.then(|| format!("tcp://{text}").parse().ok()).flatten();
        tcp.ok_or(error)
    })
}

fn host_port(node: &Node) -> Result<HostPort, ConfigError> {
    let text = node.text()?;
    let endpoint: Endpoint = format!("tcp://{text}")
        .parse()
        .map_err(|_| node.refuse(format!("expected host:port, like '127.0.0.1:8222', found '{text}'")))?;
    match endpoint.target() {
        Target::Tcp { host } => Ok(host.clone()),
        other => Err(node.refuse(format!("expected host:port, found '{other}'"))),
    }
}

fn plain(value: &impl ToString) -> Option<String> {
    Some(value.to_string())
}

fn time(value: &std::time::Duration) -> Option<String> {
    Some(quote(&duration_text(*value)))
}

/// The size in the largest unit that divides it.
fn bytes(value: &usize) -> Option<String> {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.iter().find(|(unit, _)| *value > 0 && value.is_multiple_of(*unit));
    Some(unit.map_or_else(|| value.to_string(), |(unit, name)| quote(&format!("{}{name}", value / unit))))
}

fn optional_text(value: &Option<String>) -> Option<String> {
    value.as_deref().map(quote)
}

fn optional_path_text(value: &Option<std::path::PathBuf>) -> Option<String> {
    value.as_deref().map(|path| quote(&path.to_string_lossy()))
}
