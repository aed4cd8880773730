//! What carries datagrams: one trait, one file for each that has it.

use std::{net::SocketAddr, os::fd::BorrowedFd};

use crosstie_core::Error;
use crosstie_sys::{Interest, PeerProcess};

/// A datagram that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes it has.
    pub len: usize,
    /// Where it says it came from, which proves nothing; `None` over anything but UDP.
    pub from: Option<SocketAddr>,
    /// The process that sent it, for which the kernel vouches; `None` where nobody does.
    pub sender: Option<PeerProcess>,
}

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Out,
    In,
}

/// One end. It never waits; how to wait is said by [`Self::ready`].
pub(crate) trait Carrier: Send + Sync {
    /// The most bytes of one datagram.
    fn max_len(&self) -> usize;

    /// Sends one datagram, which is no longer than [`Self::max_len`]; [`Full`](crosstie_core::Kind::Full) if there is no room.
    fn try_send(&self, bytes: &[u8]) -> Result<(), Error>;

    /// Takes one datagram; `None` if none is there.
    fn try_receive(&self, buf: &mut [u8]) -> Result<Option<Received>, Error>;

    /// What becomes ready, and for what, once it is worth trying again. Only after an attempt that found no room, or nothing there.
    fn ready(&self, way: Way) -> (BorrowedFd<'_>, Interest);
}

/// One that did not fit into the buffer of who receives.
pub(crate) fn cut(len: usize, room: usize) -> Error {
    let text = format!("a datagram of {len} bytes came, and there was room for {room}: it is lost");
    Error::new(crosstie_core::Kind::TooLarge, text)
}

/// There is no room for another one.
pub(crate) fn full() -> Error {
    Error::new(crosstie_core::Kind::Full, "no room for another datagram")
}

/// Nobody is there to receive.
pub(crate) fn nobody(endpoint: &crosstie_core::Endpoint) -> Error {
    Error::new(crosstie_core::Kind::NoResponders, format!("nobody receives at '{endpoint}'"))
}
