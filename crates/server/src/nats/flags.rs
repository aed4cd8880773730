//! nats-server's command line as data: which flags there are, and what each changes.
//!
//! Flags follow Go's rules: one dash or two, the value behind `=` or as the next argument, and a truth alone or behind `=`.

use std::{ffi::OsString, path::PathBuf};

use crosstie_broker::{Secret, User};

use super::{address, keys::Stated, refused};
use crate::{process::SignalCommand, settings::Settings, tree::suggestion};

/// What a command line asks for.
#[derive(Debug, Default)]
pub(super) struct CommandLine {
    pub(super) config: Option<PathBuf>,
    pub(super) action: Action,
    /// Whether to listen beyond loopback although nobody has to authenticate.
    pub(super) insecure: bool,
    /// What is set, in order. A flag beats the configuration file, so these are applied after it.
    set: Vec<(&'static Flag, String)>,
}

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Action {
    #[default]
    Run,
    Version,
    Help,
    /// Check the configuration, and end.
    Test,
    Signal {
        command: SignalCommand,
        process: Option<String>,
    },
}

/// What a flag does with its value.
enum Effect {
    /// It changes a setting.
    Set(fn(&str, &mut Settings, &mut Stated) -> Result<(), String>),
    /// It asks for something else than to run with other settings.
    Ask(fn(&str, &mut CommandLine) -> Result<(), String>),
}

/// A flag.
struct Flag {
    /// Its names without dashes, the shortest first.
    names: &'static [&'static str],
    /// What its value is called; empty if it is a truth.
    value: &'static str,
    doc: &'static str,
    effect: Effect,
}

impl std::fmt::Debug for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.names[0])
    }
}

const FLAGS: &[Flag] = &[
    Flag {
        names: &["a", "addr", "net"],
        value: "HOST",
        doc: "Listen for clients at this host (default: 127.0.0.1; nats-server listens on every interface)",
        effect: Effect::Set(|value, _, stated| {
            stated.addresses.host = Some(value.to_owned());
            Ok(())
        }),
    },
    Flag {
        names: &["p", "port"],
        value: "PORT",
        doc: "Listen for clients at this port; -1 is any free one (default: 4222)",
        effect: Effect::Set(|value, _, stated| {
            stated.addresses.port = number(value)?.or(stated.addresses.port);
            Ok(())
        }),
    },
    Flag {
        names: &["n", "name", "server_name"],
        value: "NAME",
        doc: "Name of the server (default: its id)",
        effect: Effect::Set(|value, settings, _| {
            settings.options.server_name = Some(value.to_owned());
            Ok(())
        }),
    },
    Flag {
        names: &["client_advertise"],
        value: "HOST[:PORT]",
        doc: "The host that clients are told",
        effect: Effect::Set(|value, settings, _| {
            settings.options.advertise_host = address::host_and_port(value)?.0;
            Ok(())
        }),
    },
    Flag {
        names: &["c", "config"],
        value: "FILE",
        doc: "Configuration file in nats-server's grammar",
        effect: Effect::Ask(|value, line| {
            line.config = Some(PathBuf::from(value));
            Ok(())
        }),
    },
    Flag {
        names: &["t"],
        value: "",
        doc: "Check the configuration, and end",
        effect: Effect::Ask(|_, line| {
            line.action = Action::Test;
            Ok(())
        }),
    },
    Flag {
        names: &["m", "http_port"],
        value: "PORT",
        doc: "Answer for monitoring over HTTP at this port of 127.0.0.1",
        effect: Effect::Set(|value, _, stated| {
            stated.addresses.http_port = number(value)?;
            Ok(())
        }),
    },
    Flag {
        names: &["P", "pid"],
        value: "FILE",
        doc: "Write the process id to this file",
        effect: Effect::Set(|value, settings, _| {
            settings.pid_file = Some(PathBuf::from(value));
            Ok(())
        }),
    },
    Flag {
        names: &["ports_file_dir"],
        value: "FOLDER",
        doc: "Write a ports file, <executable>_<pid>.ports, into this folder",
        effect: Effect::Set(|value, settings, _| {
            settings.ports_file_dir = Some(PathBuf::from(value));
            Ok(())
        }),
    },
    Flag {
        names: &["l", "log"],
        value: "FILE",
        doc: "Log to this file (default: standard error)",
        effect: Effect::Set(|value, settings, _| {
            settings.log.file = Some(PathBuf::from(value));
            Ok(())
        }),
    },
    Flag {
        names: &["T", "logtime"],
        value: "",
        doc: "Say in the log when a line was written (default: true)",
        effect: Effect::Set(|value, settings, _| {
            settings.log.time = truth(value)?;
            Ok(())
        }),
    },
    Flag {
        names: &["D", "debug"],
        value: "",
        doc: "Log more",
        effect: Effect::Set(|value, _, stated| {
            stated.debug = truth(value)?;
            Ok(())
        }),
    },
    Flag {
        names: &["V", "trace"],
        value: "",
        doc: "Log everything",
        effect: Effect::Set(|value, _, stated| {
            stated.trace = truth(value)?;
            Ok(())
        }),
    },
    Flag {
        names: &["DV"],
        value: "",
        doc: "Both -D and -V",
        effect: Effect::Set(|value, _, stated| {
            (stated.debug, stated.trace) = (truth(value)?, truth(value)?);
            Ok(())
        }),
    },
    Flag {
        names: &["user"],
        value: "NAME",
        doc: "The user that clients must be; needs --pass",
        effect: Effect::Set(|value, settings, _| {
            only_user(settings).name = value.to_owned();
            Ok(())
        }),
    },
    Flag {
        names: &["pass"],
        value: "PASSWORD",
        doc: "The password of that user",
        effect: Effect::Set(|value, settings, _| {
            only_user(settings).password = Secret::new(value);
            Ok(())
        }),
    },
    Flag {
        names: &["auth"],
        value: "TOKEN",
        doc: "The token that clients must show",
        effect: Effect::Set(|value, settings, _| {
            settings.options.auth.token = Some(Secret::new(value));
            Ok(())
        }),
    },
    Flag {
        names: &["tls"],
        value: "",
        doc: "Speak TLS, with the files that the next ones name",
        effect: Effect::Set(|value, _, stated| {
            stated.tls.is_wanted = truth(value)?;
            Ok(())
        }),
    },
    Flag {
        names: &["tlscert"],
        value: "FILE",
        doc: "The server's certificate",
        effect: Effect::Set(|value, _, stated| {
            (stated.tls.is_wanted, stated.tls.cert) = (true, Some(PathBuf::from(value)));
            Ok(())
        }),
    },
    Flag {
        names: &["tlskey"],
        value: "FILE",
        doc: "The private key of that certificate",
        effect: Effect::Set(|value, _, stated| {
            (stated.tls.is_wanted, stated.tls.key) = (true, Some(PathBuf::from(value)));
            Ok(())
        }),
    },
    Flag {
        names: &["tlsverify"],
        value: "",
        doc: "Let in nobody without a certificate",
        effect: Effect::Set(|value, _, stated| {
            stated.tls.verify = truth(value)?;
            stated.tls.is_wanted |= stated.tls.verify;
            Ok(())
        }),
    },
    Flag {
        names: &["tlscacert"],
        value: "FILE",
        doc: "The authorities that sign clients' certificates",
        effect: Effect::Set(|value, _, stated| {
            (stated.tls.is_wanted, stated.tls.ca) = (true, Some(PathBuf::from(value)));
            Ok(())
        }),
    },
    Flag {
        names: &["sl", "signal"],
        value: "COMMAND[=PID|FILE]",
        doc: "Signal a running server: stop, quit, term, reopen, reload, ldm; by its process id or pid file",
        effect: Effect::Ask(|value, line| {
            let (name, process) = match value.split_once('=') {
                Some((name, process)) => (name, Some(process.to_owned())),
                None => (value, None),
            };
            let command = SignalCommand::from_name(name)
                .ok_or_else(|| format!("expected stop, quit, term, reopen, reload or ldm, found '{name}'"))?;
            line.action = Action::Signal { command, process };
            Ok(())
        }),
    },
    Flag {
        names: &["sd", "store_dir"],
        value: "FOLDER",
        doc: "Accepted, and named in the log; nothing is stored",
        effect: Effect::Set(|value, settings, _| {
            settings.store_dir = Some(PathBuf::from(value));
            Ok(())
        }),
    },
    Flag {
        names: &["insecure"],
        value: "",
        doc: "Listen beyond loopback although nobody has to authenticate (not a flag of nats-server; also CROSSTIE_INSECURE=1)",
        effect: Effect::Ask(|value, line| {
            line.insecure = truth(value)?;
            Ok(())
        }),
    },
    Flag {
        names: &["v", "version"],
        value: "",
        doc: "Print the version, and end",
        effect: Effect::Ask(|_, line| {
            line.action = Action::Version;
            Ok(())
        }),
    },
    Flag {
        names: &["h", "help"],
        value: "",
        doc: "Print this, and end",
        effect: Effect::Ask(|_, line| {
            line.action = Action::Help;
            Ok(())
        }),
    },
];

impl CommandLine {
    /// Reads the arguments that follow the name of the program.
    ///
    /// # Errors
    ///
    /// A sentence about the first argument that is unknown, refused, or lacks its value.
    pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut line = Self::default();
        let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
        while let Some(argument) = arguments.next() {
            let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                return Err(format!("expected a flag, found '{argument}'"));
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let flag = FLAGS.iter().find(|flag| flag.names.contains(&name)).ok_or_else(|| unknown(name))?;
            let value = match (value, flag.value) {
                (Some(value), _) => value,
                (None, "") => "true".to_owned(),
                (None, what) => {
                    arguments.next().ok_or_else(|| format!("expected {what} after '{argument}', found nothing"))?
                }
            };
            match flag.effect {
                Effect::Set(_) => line.set.push((flag, value)),
                Effect::Ask(ask) => ask(&value, &mut line).map_err(|message| format!("'{argument}': {message}"))?,
            }
        }
        Ok(line)
    }

    /// Changes what the flags change.
    pub(super) fn apply(&self, settings: &mut Settings, stated: &mut Stated) -> Result<(), String> {
        // Credentials on the command line take the place of all those in the file, as a whole.
        if self.set.iter().any(|(flag, _)| ["user", "auth"].contains(&flag.names[0])) {
            settings.options.auth.users.clear();
            settings.options.auth.token = None;
        }
        for (flag, value) in &self.set {
            if let Effect::Set(set) = &flag.effect {
                set(value, settings, stated).map_err(|message| format!("'-{}': {message}", flag.names[0]))?;
            }
        }
        let user = settings.options.auth.users.first();
        match user.filter(|user| user.name.is_empty() || user.password.expose().is_empty()) {
            Some(_) => Err("expected --user and --pass together, found one without the other".to_owned()),
            None => Ok(()),
        }
    }
}

/// The text of `--help`.
pub(super) fn help(program: &str) -> String {
    let mut text = format!(
        "The command line of nats-server, for core NATS\n\nExamples:\n  {program} -p 4333 -m 8222\n  {program} -c nats-server.conf\n  \
         {program} --signal ldm=1234\n\nUsage: {program} [flags]\n\nFlags:\n"
    );
    for flag in FLAGS {
        let names: Vec<_> =
            flag.names.iter().map(|name| format!("{}{name}", if name.len() > 2 { "--" } else { "-" })).collect();
        text += &format!("  {} {}\n      {}\n", names.join(", "), flag.value, flag.doc);
    }
    text
}

fn unknown(name: &str) -> String {
    refused::flag(name).unwrap_or_else(|| {
        let names = FLAGS.iter().flat_map(|flag| flag.names.iter().copied());
        format!("unknown flag '-{name}'{}", suggestion(name, names))
    })
}

fn number(value: &str) -> Result<Option<u16>, String> {
    let number = value.parse().map_err(|_| format!("expected a port, found '{value}'"))?;
    address::port(number)
}

fn truth(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("expected true or false, found '{value}'")),
    }
}

/// The one user of `--user` and `--pass`.
fn only_user(settings: &mut Settings) -> &mut User {
    let users = &mut settings.options.auth.users;
    if users.is_empty() {
        users.push(User { name: String::new(), password: Secret::new(""), permissions: Default::default() });
    }
    &mut users[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine, String> {
        CommandLine::parse(line.split_whitespace().map(OsString::from))
    }

    fn settings(line: &str) -> Result<(Settings, Stated), String> {
        let (mut settings, mut stated) = (Settings::new(), Stated::default());
        parse(line)?.apply(&mut settings, &mut stated)?;
        Ok((settings, stated))
    }

    #[test]
    fn one_dash_or_two_and_equals_or_blank_mean_the_same() {
        for line in ["-p 4333", "-p=4333", "--port 4333", "--port=4333", "-port 4333", "-port=4333", "--p 4333"] {
            assert_eq!(settings(line).unwrap().1.addresses.port, Some(4333), "{line}");
        }
        assert_eq!(settings("-p -1").unwrap().1.addresses.port, Some(0));
        assert_eq!(settings("-p 0").unwrap().1.addresses.listen().to_string(), "tcp://127.0.0.1:4222");
    }

    #[test]
    fn the_line_of_a_test_suite_is_understood() {
        let (settings, stated) = settings(
            "--store_dir /tmp/x -p -1 -l /tmp/log -P /tmp/pid -DV -T=false --user a --pass b -m 8222 -a 0.0.0.0",
        )
        .unwrap();
        assert_eq!(settings.store_dir.unwrap().to_str(), Some("/tmp/x"));
        assert_eq!(settings.log.file.unwrap().to_str(), Some("/tmp/log"));
        assert!(stated.debug && stated.trace && !settings.log.time);
        assert_eq!(settings.options.auth.users[0].name, "a");
        assert_eq!(stated.addresses.listen().to_string(), "tcp://0.0.0.0:0");
        assert_eq!(stated.addresses.http().unwrap().to_string(), "127.0.0.1:8222");
        let signal = Action::Signal { command: SignalCommand::LameDuck, process: Some("12".to_owned()) };
        for line in ["--signal ldm=12", "--signal=ldm=12", "-sl ldm=12"] {
            assert_eq!(parse(line).unwrap().action, signal, "{line}");
        }
        assert_eq!(parse("-t -c f").unwrap().action, Action::Test);
    }

    /// Every flag that nats-server 2.15.1 takes. Source: its server/opts.go.
    const THEIRS: [&str; 63] = [
        "D",
        "DV",
        "DVV",
        "P",
        "T",
        "V",
        "VV",
        "a",
        "addr",
        "auth",
        "c",
        "client_advertise",
        "cluster",
        "cluster_advertise",
        "cluster_listen",
        "cluster_name",
        "config",
        "connect_retries",
        "debug",
        "h",
        "help",
        "help_tls",
        "http_port",
        "https_port",
        "jetstream",
        "js",
        "l",
        "log",
        "log_size_limit",
        "logtime",
        "logtime_utc",
        "m",
        "max_traced_msg_len",
        "ms",
        "n",
        "name",
        "net",
        "no_advertise",
        "p",
        "pass",
        "pid",
        "port",
        "ports_file_dir",
        "profile",
        "r",
        "remote_syslog",
        "routes",
        "s",
        "sd",
        "server_name",
        "signal",
        "sl",
        "store_dir",
        "syslog",
        "t",
        "tls",
        "tlscacert",
        "tlscert",
        "tlskey",
        "tlsverify",
        "trace",
        "user",
        "v",
    ];

    #[test]
    fn every_flag_of_nats_server_is_taken_or_refused_with_what_to_do() {
        let mut refused = 0;
        for name in THEIRS {
            // No value fits all, so one that is missing or wrong is no surprise; a flag that nobody knows is one.
            let error = settings(&format!("--{name}")).err().unwrap_or_default();
            assert!(!error.starts_with("unknown flag"), "{name}: {error}");
            if error.starts_with(&format!("'-{name}'")) && error.contains("not supported") {
                let (_, instead) = error.rsplit_once(": ").expect("a sentence about what to do");
                assert!(instead.contains("remove") || instead.contains("use"), "{name}: {error}");
                refused += 1;
            }
        }
        assert_eq!(refused, 22, "of all of them");
        assert!(parse("--clutter x").unwrap_err().starts_with("unknown flag"), "the control");
    }

    #[test]
    fn what_is_not_here_is_refused_by_name() {
        for (line, part) in [
            ("-js", "'-js': JetStream is not supported"),
            ("--help_tls", "'-help_tls': asking for revoked"),
            ("--cluster_name x", "'-cluster_name': a cluster"),
            ("--confg x", "unknown flag '-confg': did you mean 'config'?"),
            ("-p", "expected PORT after '-p'"),
            ("-p x", "expected a port, found 'x'"),
            ("-D=maybe", "expected true or false"),
            ("serve", "expected a flag, found 'serve'"),
            ("--signal hop=1", "expected stop, quit"),
            ("--user a", "expected --user and --pass together"),
        ] {
            let error = settings(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
