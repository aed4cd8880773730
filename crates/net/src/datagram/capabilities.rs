//! What each scheme can do with datagrams, as data: the conformance suite is chosen by it, and the second table in `docs/endpoints.md` is it.

use std::fmt::Write;

use super::{mem, shm, udp};
use crate::capabilities::{Identity, yes};

/// What becomes of a datagram for which the receiver has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The sender waits, or is told that there is no room.
    Told,
    /// It is lost, and nobody is told.
    Lost,
}

/// What one scheme can do with datagrams. None keeps an order across senders, repeats what was lost, or sends an answer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramCapabilities {
    /// The scheme, without the colon.
    pub scheme: &'static str,
    /// The longest; where the operating system decides, its usual number. What an end really carries is its `max_len()`.
    pub longest: usize,
    /// What happens when the receiver does not keep up.
    pub overflow: Overflow,
    /// Senders that one receiver hears at a time; `None` where nobody counts them.
    pub senders: Option<usize>,
    /// Whether one datagram may reach several receivers.
    pub groups: bool,
    /// What is known of who sent one.
    pub identity: Identity,
    /// Whether a sender learns that nobody receives any more.
    pub tells_absence: bool,
    /// Whether open descriptors can be sent along.
    pub descriptors: bool,
    /// Whether the other end may be on another machine.
    pub remote: bool,
}

const LOCAL: DatagramCapabilities = DatagramCapabilities {
    scheme: "unix",
    longest: 212_960,
    overflow: Overflow::Told,
    senders: None,
    groups: false,
    identity: Identity::Process,
    tells_absence: true,
    descriptors: false,
    remote: false,
};
const MEM: DatagramCapabilities =
    DatagramCapabilities { scheme: "mem", longest: mem::LONGEST, identity: Identity::ThisProcess, ..LOCAL };
const SHM: DatagramCapabilities =
    DatagramCapabilities { scheme: "shm", longest: shm::LONGEST, senders: Some(shm::MOST_SENDERS), ..LOCAL };
const UDP: DatagramCapabilities = DatagramCapabilities {
    scheme: "udp",
    longest: udp::LONGEST,
    overflow: Overflow::Lost,
    groups: true,
    identity: Identity::Address,
    tells_absence: false,
    remote: true,
    ..LOCAL
};

impl DatagramCapabilities {
    /// Every scheme that carries datagrams.
    pub const ALL: &'static [Self] = &[MEM, LOCAL, SHM, UDP];

    /// Those of a scheme; `None` if it carries no datagrams.
    pub fn of(scheme: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|capabilities| capabilities.scheme == scheme)
    }

    /// The table of all schemes, in Markdown.
    pub fn table() -> String {
        let mut text = String::from(
            "| scheme | the longest, in bytes | when the receiver does not keep up | senders | groups | who sent it | nobody there | descriptors | other machines |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for it in Self::ALL {
            let senders = it.senders.map_or_else(|| "any number".to_owned(), |most| most.to_string());
            writeln!(
                text,
                "| `{}:` | {} | {} | {senders} | {} | {} | {} | {} | {} |",
                it.scheme,
                it.longest,
                match it.overflow {
                    Overflow::Told => "the sender waits, or is told `Full`",
                    Overflow::Lost => "it is lost, and nobody is told",
                },
                yes(it.groups),
                it.identity.in_words(),
                if it.tells_absence { "is told" } else { "is not seen" },
                yes(it.descriptors),
                yes(it.remote),
            )
            .expect("text takes any text");
        }
        text
    }
}
