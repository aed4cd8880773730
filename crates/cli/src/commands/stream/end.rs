//! One end of a join, as the command line names it: which endpoint, and who opens it to whom.

use std::{sync::Arc, time::Duration};

use crosstie_core::{Endpoint, Error, Target};
use crosstie_net::{AsyncListener, Connection, Connector, Flow, Peer, connector, listen, standard_streams};
use serde_json::{Value, json};

use crate::exit::Failure;

/// The rule, as the help of each command that takes ends shows it.
pub(crate) const RULE: &str = "How an end is named:
  tcp://h:1 unix:/p shm:n exec:cmd  connect to whoever listens there, run it
  listen:ENDPOINT                   listen there, and take whoever comes
  connect:ENDPOINT                  connect, where that is not the rule
  tcp://:9000                       without a host: listen on 127.0.0.1
  fifo:/p                           the first end is read, the second written
  fd:3                              a descriptor that was inherited
  tls://h:1?ca=ca.pem               over TLS; the one who listens names ?cert=
                                    and &key=, which 'crosstie tls init' makes
  -                                 standard input and output";

/// What is at one end.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// Standard input and output.
    Standard,
    /// Whoever comes.
    Listen(Endpoint),
    /// Whoever is there.
    Connect(Endpoint),
}

/// What an end without a prefix does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unless {
    /// It connects; a named pipe is read.
    First,
    /// It connects; a named pipe is written.
    Second,
    /// It listens.
    Listens,
}

impl End {
    /// Reads what the user has typed for `what`. It stands on the command line, so it may name what acts with the user's rights.
    pub(crate) fn parse(what: &str, text: &str, unless: Unless) -> Result<Self, Failure> {
        if text == "-" {
            return Ok(Self::Standard);
        }
        let (said, rest) = match (text.strip_prefix("listen:"), text.strip_prefix("connect:")) {
            (Some(rest), _) => (Some(true), rest),
            (_, Some(rest)) => (Some(false), rest),
            _ => (None, text),
        };
        let hostless =
            ["tcp://", "tls://", "udp://"].into_iter().find(|scheme| rest.starts_with(&format!("{scheme}:")));
        let full = hostless.map(|scheme| format!("{scheme}127.0.0.1{}", &rest[scheme.len()..]));
        if full.is_some() && said == Some(false) {
            return Err(Failure::usage(format!("{what}: expected a host to connect to, found '{rest}'")));
        }
        let endpoint: Endpoint = full.as_deref().unwrap_or(rest).parse().map_err(|error| hint(what, text, error))?;
        if matches!(endpoint.target(), Target::Mem { .. } | Target::Pipe) {
            let text = format!("{what}: '{endpoint}' is inside one process, so no other can be joined to it");
            return Err(Failure::usage(format!("{text}: take unix:, shm: or fifo:")));
        }
        let is_fifo = matches!(endpoint.target(), Target::Fifo { .. });
        let listens =
            said.unwrap_or_else(|| full.is_some() || unless == Unless::Listens || (is_fifo && unless == Unless::First));
        Ok(if listens { Self::Listen(endpoint.trusted()) } else { Self::Connect(endpoint.trusted()) })
    }

    /// The endpoint; `None` of standard streams.
    pub(crate) const fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Standard => None,
            Self::Listen(endpoint) | Self::Connect(endpoint) => Some(endpoint),
        }
    }

    /// True if whoever comes there is shown what stands in files, which may be written anew.
    pub(crate) const fn has_files(&self) -> bool {
        matches!(self, Self::Listen(endpoint) if matches!(endpoint.target(), Target::Tls { .. }))
    }

    /// True if it can be opened once and never again.
    pub(crate) fn is_single(&self) -> bool {
        match self {
            Self::Standard => true,
            Self::Listen(_) => false,
            Self::Connect(endpoint) => matches!(endpoint.target(), Target::Fd { .. }),
        }
    }

    /// True if it is where this process's own data go to.
    pub(crate) fn is_standard_output(&self) -> bool {
        matches!(self, Self::Standard)
            || self.endpoint().is_some_and(|endpoint| matches!(endpoint.target(), Target::Fd { number: 0 | 1 }))
    }

    /// Opens what can be opened before anybody comes.
    pub(crate) fn open(&self) -> Result<Gate, Error> {
        Ok(match self {
            Self::Standard => Gate::Standard,
            Self::Listen(endpoint) => Gate::Listener(AsyncListener::new(listen(endpoint)?)?),
            Self::Connect(endpoint) => Gate::Connector(connector(endpoint)?.into()),
        })
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Standard => f.write_str("-"),
            Self::Listen(endpoint) => write!(f, "listen:{endpoint}"),
            Self::Connect(endpoint) => endpoint.fmt(f),
        }
    }
}

/// An end that is open as far as it can be by itself.
pub(crate) enum Gate {
    Standard,
    Listener(AsyncListener),
    Connector(Arc<dyn Connector>),
}

/// What has come through a gate, or can be had without waiting for somebody.
pub(crate) enum Coming {
    Standard,
    Here(Connection),
    Connector(Arc<dyn Connector>),
}

impl Gate {
    /// Reads its files again, if it has some.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        match self {
            Self::Listener(listener) => listener.get_ref().reload(),
            Self::Standard | Self::Connector(_) => Ok(()),
        }
    }

    /// Waits for whoever has to come.
    pub(crate) async fn pass(&self) -> Result<Coming, Error> {
        Ok(match self {
            Self::Standard => Coming::Standard,
            Self::Listener(listener) => Coming::Here(listener.accept().await?),
            Self::Connector(connector) => Coming::Connector(Arc::clone(connector)),
        })
    }
}

impl Coming {
    /// Who has come.
    pub(crate) const fn peer(&self) -> Option<Peer> {
        match self {
            Self::Here(connection) => Some(connection.peer()),
            Self::Standard | Self::Connector(_) => None,
        }
    }

    /// True if bytes can be written to it.
    pub(crate) fn takes_bytes(&self) -> bool {
        match self {
            Self::Here(connection) => connection.capabilities().flow == Flow::TwoWay,
            Self::Standard | Self::Connector(_) => true,
        }
    }

    /// The connection.
    pub(crate) async fn connect(self, limit: Duration) -> Result<Connection, Error> {
        match self {
            Self::Standard => standard_streams(),
            Self::Here(connection) => Ok(connection),
            Self::Connector(connector) => connector.connect_async(limit).await,
        }
    }
}

/// Who is at the other end of a connection.
pub(crate) fn peer_json(peer: Peer) -> Value {
    match peer {
        Peer::Network(address) => json!({ "address": address.to_string() }),
        Peer::Local(process) => json!({ "pid": process.pid, "uid": process.uid, "gid": process.gid }),
        Peer::Child(pid) => json!({ "pid": pid, "child": true }),
        _ => Value::Null,
    }
}

/// The same for people; empty if nothing is known.
pub(crate) fn peer_text(peer: Peer) -> String {
    match peer {
        Peer::Network(address) => format!(" from {address}"),
        Peer::Local(process) => format!(" from process {} of user {}", process.pid, process.uid),
        Peer::Child(pid) => format!(" from child {pid}"),
        _ => String::new(),
    }
}

fn hint(what: &str, text: &str, error: impl std::fmt::Display) -> Failure {
    let is_path = text.starts_with(['/', '.', '~']);
    let hint = if is_path { "; bytes of a file are given to '-' by '<'" } else { "" };
    Failure::usage(format!("{what}: {error}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, unless: Unless) -> String {
        End::parse("A", text, unless).map_or_else(|failure| failure.to_string(), |end| end.to_string())
    }

    #[test]
    fn the_rule_of_the_help_holds() {
        for (text, first, second) in [
            ("tcp://h:1", "tcp://h:1", "tcp://h:1"),
            ("listen:tcp://h:1", "listen:tcp://h:1", "listen:tcp://h:1"),
            ("tcp://:9000", "listen:tcp://127.0.0.1:9000", "listen:tcp://127.0.0.1:9000"),
            ("fifo:/p", "listen:fifo:/p", "fifo:/p"),
            ("connect:fifo:/p", "fifo:/p", "fifo:/p"),
            ("-", "-", "-"),
        ] {
            assert_eq!(
                (shown(text, Unless::First), shown(text, Unless::Second)),
                (first.to_owned(), second.to_owned())
            );
        }
        assert_eq!(shown("unix:/p", Unless::Listens), "listen:unix:/p");
        assert_eq!(shown("connect:unix:/p", Unless::Listens), "unix:/p");
    }

    #[test]
    fn what_cannot_be_an_end_is_refused_with_a_way_out() {
        assert!(shown("mem:a", Unless::First).contains("take unix:, shm: or fifo:"));
        assert!(shown("pipe:", Unless::First).contains("inside one process"));
        assert!(shown("connect:tcp://:1", Unless::First).contains("a host to connect to"));
        assert!(shown("/tmp/file", Unless::First).contains("'unix:/tmp/file' or 'fifo:/tmp/file'"));
        assert!(shown("/tmp/file", Unless::First).ends_with("given to '-' by '<'"));
    }
}
