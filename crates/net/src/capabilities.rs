//! What each scheme can do, as data: the code asks it, the conformance suite is chosen by it, and the table in `docs/endpoints.md` is it.

use std::fmt::Write;

/// In which directions bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Both ends read and write.
    TwoWay,
    /// The connector writes, the listener reads.
    OneWay,
}

/// How many connections an address takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// As many as there are descriptors and memory for.
    Many,
    /// One after the other.
    InTurn,
    /// One, and then never again.
    One,
}

/// What is known of who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Nothing.
    Unknown,
    /// It is this very process.
    ThisProcess,
    /// User, group and process, for which the kernel vouches.
    Process,
    /// It is a child of this process.
    Child,
    /// A network address, which proves nothing.
    Address,
    /// The server by its certificate; the client by its own where the listener asks for one.
    Certificate,
}

/// What proves that the process at the other end is dead, rather than out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathProof {
    /// Nothing does: a lost connection is `Disconnected`.
    Nothing,
    /// A pidfd that came with the socket (Linux 6.5). Before, nothing.
    Pidfd,
    /// The exit status of the child.
    ExitStatus,
}

/// What one scheme can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The scheme, without the colon.
    pub scheme: &'static str,
    /// In which directions its streams go. Bytes arrive in order, whole and once, as long as the connection lasts.
    pub flow: Flow,
    /// Whether it has a listener; otherwise there is the connector alone.
    pub listens: bool,
    /// Whether one direction can end while the other goes on.
    pub half_close: bool,
    /// How many connections there may be at one address.
    pub connections: Connections,
    /// Who is there.
    pub identity: Identity,
    /// What proves a death.
    pub death: DeathProof,
    /// Whether open descriptors can be handed over.
    pub descriptors: bool,
    /// Whether the other end may be on another machine.
    pub remote: bool,
    /// Whether the endpoint opens only if the caller vouches for it.
    pub callers_own: bool,
    /// Bytes on the way in one direction before a writer has to wait; where the operating system decides, its usual number.
    pub buffer: usize,
}

const SOCKET: Capabilities = Capabilities {
    scheme: "unix",
    flow: Flow::TwoWay,
    listens: true,
    half_close: true,
    connections: Connections::Many,
    identity: Identity::Process,
    death: DeathProof::Pidfd,
    descriptors: true,
    remote: false,
    callers_own: false,
    buffer: 208 * 1024,
};

pub(crate) const UNIX: Capabilities = SOCKET;
pub(crate) const TCP: Capabilities = Capabilities {
    scheme: "tcp",
    identity: Identity::Address,
    death: DeathProof::Nothing,
    descriptors: false,
    remote: true,
    buffer: 2560 * 1024,
    ..SOCKET
};
pub(crate) const TLS: Capabilities = Capabilities { scheme: "tls", identity: Identity::Certificate, ..TCP };
pub(crate) const MEM: Capabilities = Capabilities {
    scheme: "mem",
    identity: Identity::ThisProcess,
    death: DeathProof::Nothing,
    descriptors: false,
    buffer: crate::memory::CAPACITY,
    ..SOCKET
};
pub(crate) const PIPE: Capabilities = Capabilities {
    scheme: "pipe",
    identity: Identity::Unknown,
    death: DeathProof::Nothing,
    descriptors: false,
    buffer: 64 * 1024,
    ..SOCKET
};
pub(crate) const FD: Capabilities =
    Capabilities { scheme: "fd", listens: true, connections: Connections::One, callers_own: true, ..PIPE };
pub(crate) const EXEC: Capabilities = Capabilities {
    scheme: "exec",
    listens: false,
    connections: Connections::Many,
    identity: Identity::Child,
    death: DeathProof::ExitStatus,
    callers_own: true,
    ..PIPE
};
/// A child's own socket: not reached by a URL on this side, so not in the table.
pub(crate) const CHILD: Capabilities = Capabilities {
    scheme: "fd",
    listens: false,
    connections: Connections::One,
    identity: Identity::Child,
    death: DeathProof::ExitStatus,
    callers_own: true,
    ..UNIX
};
pub(crate) const FIFO: Capabilities = Capabilities {
    scheme: "fifo",
    flow: Flow::OneWay,
    half_close: false,
    connections: Connections::InTurn,
    callers_own: true,
    ..PIPE
};
pub(crate) const SHM: Capabilities =
    Capabilities { scheme: "shm", descriptors: false, buffer: crate::shared_stream::CAPACITY as usize, ..SOCKET };

impl Capabilities {
    /// Every scheme that carries byte streams here.
    pub const ALL: &'static [Self] = &[MEM, PIPE, FD, EXEC, FIFO, UNIX, SHM, TCP, TLS];

    /// Those of a scheme; `None` if it carries no byte stream here.
    pub fn of(scheme: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|capabilities| capabilities.scheme == scheme)
    }

    /// The table of all schemes, in Markdown.
    pub fn table() -> String {
        let mut text = String::from(
            "| scheme | bytes go | half-close | connections | who is there | proof of death | descriptors | other machines | opens | on the way |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for it in Self::ALL {
            writeln!(
                text,
                "| `{}:` | {} | {} | {}{} | {} | {} | {} | {} | {} | {} KiB |",
                it.scheme,
                match it.flow {
                    Flow::TwoWay => "both ways",
                    Flow::OneWay => "to the listener",
                },
                yes(it.half_close),
                match it.connections {
                    Connections::Many => "many",
                    Connections::InTurn => "one at a time",
                    Connections::One => "one",
                },
                if it.listens { "" } else { ", no listener" },
                it.identity.in_words(),
                match it.death {
                    DeathProof::Nothing => "none",
                    DeathProof::Pidfd => "pidfd",
                    DeathProof::ExitStatus => "exit status",
                },
                yes(it.descriptors),
                yes(it.remote),
                if it.callers_own { "the caller's own" } else { "any" },
                it.buffer / 1024,
            )
            .expect("text takes any text");
        }
        text
    }
}

impl Identity {
    /// As the tables have it.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Unknown => "nothing is known",
            Self::ThisProcess => "this process",
            Self::Process => "uid, gid, pid",
            Self::Child => "a child",
            Self::Address => "an address",
            Self::Certificate => "a certificate",
        }
    }
}

pub(crate) const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_in_the_documentation_are_these() {
        let page = include_str!("../../../docs/endpoints.md");
        for table in [Capabilities::table(), crate::DatagramCapabilities::table()] {
            assert!(page.contains(&table), "put this into docs/endpoints.md:\n{table}");
        }
    }
}
